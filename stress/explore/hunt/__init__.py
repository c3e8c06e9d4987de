"""The hunt for workloads that break a design: Hypothesis draws them, the explorer tries them."""
