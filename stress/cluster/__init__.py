"""Work on many machines: shards of it are performed by the workers of a cluster of dask.distributed.

- `connecting`: find the cluster, or start one here; refuse workers of another version (`identity`);
- `shards`: hand shards out and take what they come to, whatever happens to a worker or the scheduler;
- `apart`: a worker's end: each shard in a process of its own; `sent`: the user's files that go there.
"""
