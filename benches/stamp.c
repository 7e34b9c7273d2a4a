/* stamp FIFO: says when it runs: its PID and CLOCK_MONOTONIC in nanoseconds, taken first of all. */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    struct timespec now;
    char text[64];
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fifo = open(argv[argc - 1], O_WRONLY);
    int size = snprintf(text, sizeof text, "%d %lld\n", (int)getpid(), now.tv_sec * 1000000000LL + now.tv_nsec);
    if (write(fifo, text, size) != size) return 1;
    for (;;) pause();
}
