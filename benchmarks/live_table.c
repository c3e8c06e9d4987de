/*
 * Page faults on private anonymous memory, by number of workers: the plain C loop that
 * `pte-stress live --table` is held against.
 *
 *     live_table processes|threads WORKERS PAGES_EACH REPETITIONS
 *
 * Prints "faults wall_ns", summed over the repetitions; one more is done first and not counted.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORKERS 1024

struct shared {
	pthread_barrier_t barrier;
	int64_t start[MAX_WORKERS], end[MAX_WORKERS], faults[MAX_WORKERS];
	int64_t wall, total;
};

static struct shared *shared;
static int workers, repetitions;
static size_t pages, page;
static cpu_set_t allowed;

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void pin(int index)
{
	cpu_set_t one;
	int wanted = index % CPU_COUNT(&allowed);

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || wanted--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		return;
	}
}

static void *work(void *argument)
{
	int me = (int)(intptr_t)argument;

	pin(me);
	for (int r = -1; r < repetitions; r++) {
		struct rusage before, after;
		volatile char *at = mmap(NULL, pages * page, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (at == MAP_FAILED) {
			perror("mmap");
			exit(1);
		}
		pthread_barrier_wait(&shared->barrier);
		getrusage(RUSAGE_THREAD, &before);
		shared->start[me] = now();
		for (size_t i = 0; i < pages; i++)
			at[i * page] = 1;
		shared->end[me] = now();
		getrusage(RUSAGE_THREAD, &after);
		shared->faults[me] = after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt;
		pthread_barrier_wait(&shared->barrier);
		munmap((void *)at, pages * page);
		if (me == 0 && r >= 0) {
			int64_t first = shared->start[0], last = shared->end[0];

			for (int i = 0; i < workers; i++) {
				first = shared->start[i] < first ? shared->start[i] : first;
				last = shared->end[i] > last ? shared->end[i] : last;
				shared->total += shared->faults[i];
			}
			shared->wall += last - first;
		}
		pthread_barrier_wait(&shared->barrier);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_barrierattr_t attributes;
	int processes;

	if (argc != 5 || (workers = atoi(argv[2])) < 1 || workers > MAX_WORKERS) {
		fprintf(stderr, "usage: live_table processes|threads WORKERS PAGES_EACH REPETITIONS\n");
		return 2;
	}
	processes = !strcmp(argv[1], "processes");
	pages = strtoul(argv[3], NULL, 10);
	repetitions = atoi(argv[4]);
	page = sysconf(_SC_PAGESIZE);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	sched_getaffinity(0, sizeof(allowed), &allowed);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED) {
		perror("mmap");
		return 1;
	}
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &attributes, workers);
	if (processes) {
		for (int i = 0; i < workers; i++) {
			if (fork() == 0) {
				work((void *)(intptr_t)i);
				_exit(0);
			}
		}
		while (wait(NULL) > 0)
			;
	} else {
		pthread_t threads[MAX_WORKERS];

		for (int i = 0; i < workers; i++)
			pthread_create(&threads[i], NULL, work, (void *)(intptr_t)i);
		for (int i = 0; i < workers; i++)
			pthread_join(threads[i], NULL);
	}
	printf("%lld %lld\n", (long long)shared->total, (long long)shared->wall);
	return 0;
}
