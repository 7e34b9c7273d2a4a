/* rpc SOCKET CLIENTS COUNT REQUEST: so many clients at once, each a process with one connection that it keeps, ask so many
 * times, one request after the other. Prints in nanoseconds how long all took, and the median, the 99th percentile and the
 * largest of the times from a request to the end of its answer; then the bytes of the last answer. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char answer[8 << 20];

static long long now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int fail(const char *what) {
    perror(what);
    return 1;
}

/* One client: says on `ready` that it is connected, and begins when `go` is closed. */
static int client(const char *path, const char *request, long count, int ready, int go, unsigned *took, size_t *bytes) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(request), got = 0;
    char byte = 0;
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0) return fail(path);
    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 0) return fail("start");
    for (long i = 0; i < count; i++) {
        long long begin = now();
        if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size) return fail("send");
        for (got = 0; got == 0 || answer[got - 1] != '\n';) {
            ssize_t part = recv(fd, answer + got, sizeof answer - 1 - got, 0);
            if (part <= 0) return fail("the daemon does not answer");
            got += part;
        }
        took[i] = now() - begin;
    }
    answer[got] = 0;
    *bytes = got;
    if (strstr(answer, "\"error\":{")) {
        fputs(answer, stderr);
        return 1;
    }
    return 0;
}

static int ascending(const void *a, const void *b) {
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv) {
    long clients = atol(argv[2]), count = atol(argv[3]), all = clients * count;
    int ready[2], go[2], wrong = 0, status;
    char request[4096], byte;
    void *shared = mmap(NULL, all * sizeof(unsigned) + sizeof(size_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    size_t *bytes = shared;
    unsigned *took = (unsigned *)(bytes + 1);
    if (argc != 5 || shared == MAP_FAILED || pipe(ready) || pipe(go)) return fail("rpc");
    snprintf(request, sizeof request, "%s\n", argv[4]);
    for (long i = 0; i < clients; i++) {
        if (fork() == 0) {
            close(go[1]);
            close(ready[0]);
            _exit(client(argv[1], request, count, ready[1], go[0], took + i * count, bytes));
        }
    }
    close(go[0]);
    close(ready[1]);
    for (long i = 0; i < clients; i++)
        if (read(ready[0], &byte, 1) != 1) return fail("a client did not connect");
    long long begin = now();
    close(go[1]);
    while (wait(&status) > 0) wrong |= status;
    long long total = now() - begin;
    qsort(took, all, sizeof *took, ascending);
    printf("%lld %u %u %u %zu\n", total, took[all / 2], took[all * 99 / 100], took[all - 1], *bytes);
    return wrong != 0;
}
