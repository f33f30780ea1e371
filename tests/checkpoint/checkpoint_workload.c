/* A workload with all kinds of state that a checkpoint must preserve. It writes "ready" to /data/result, waits for SIGUSR2,
 * checks its state, and writes "survived", or what it has lost. With one argument it only has a socket whose other end is
 * outside the container; with "listen" and a port it only listens there, and accepts no connection before SIGUSR2. With
 * "threads" it only has a second thread and an open file that is unlinked, and waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t ticks, posix_ticks, asked;

/* Reads one byte; timers may interrupt the read. */
static int reads(int fd, char expected) {
    char byte;
    ssize_t count;
    while ((count = read(fd, &byte, 1)) == -1 && errno == EINTR) {}
    return count == 1 && byte == expected;
}

static void on_signal(int signal) {
    if (signal == SIGALRM) ticks++;
    if (signal == SIGRTMIN) posix_ticks++;
    if (signal == SIGUSR2) asked = 1;
}

static void say(const char *text) {
    FILE *file = fopen("/data/new", "w");
    if (!file || fprintf(file, "%s\n", text) < 0 || fclose(file) != 0 || rename("/data/new", "/data/result") != 0) _exit(3);
}

#define MUST(what)                                              \
    do {                                                        \
        if (!(what)) {                                          \
            say("lost: " #what);                                \
            return 1;                                           \
        }                                                       \
    } while (0)

/* Returns whether this process's locks keep another process out. */
static int locked_out(const char *path) {
    pid_t pid = fork();
    int status;
    if (pid == 0) {
        struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
        int again = open(path, O_RDWR);
        if (fcntl(again, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) _exit(1);
        _exit(flock(again, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK ? 0 : 2);
    }
    /* Timers may interrupt waitpid. */
    while (waitpid(pid, &status, 0) == -1)
        if (errno != EINTR) return 0;
    return status == 0;
}

/* Connects to a socket on the host with an abstract name. */
static int outsider(const char *name) {
    struct sigaction action = {.sa_handler = on_signal};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    int end = socket(AF_UNIX, SOCK_DGRAM, 0);
    strcpy(address.sun_path + 1, name);
    MUST(sigaction(SIGUSR2, &action, NULL) == 0);
    MUST(end >= 0 && connect(end, (struct sockaddr *)&address, length) == 0);
    say("ready");
    while (!asked) pause();
    MUST(send(end, "hello", 5, 0) == 5);
    say("survived");
    return 0;
}

static int listener(const char *port) {
    struct sigaction action = {.sa_handler = on_signal};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int end = socket(AF_INET, SOCK_STREAM, 0);
    MUST(sigaction(SIGUSR2, &action, NULL) == 0);
    MUST(end >= 0 && bind(end, (struct sockaddr *)&address, sizeof address) == 0 && listen(end, 5) == 0);
    say("ready");
    while (!asked) pause();
    MUST(accept(end, NULL, NULL) >= 0);
    say("survived");
    return 0;
}

static void *sleeper(void *unused) {
    for (;;) pause();
    return unused;
}

static int threads(void) {
    pthread_t thread;
    int deleted = open("/data/deleted", O_RDWR | O_CREAT | O_TRUNC, 0600);
    MUST(deleted >= 0 && write(deleted, "still here", 10) == 10 && unlink("/data/deleted") == 0);
    MUST(pthread_create(&thread, NULL, sleeper, NULL) == 0);
    say("ready");
    for (;;) pause();
}

int main(int argc, char **argv) {
    struct sigaction action = {.sa_handler = on_signal};
    struct itimerval interval = {{0, 20000}, {0, 20000}};
    struct itimerspec slow = {{0, 20000000}, {0, 20000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
    sigset_t blocked, pending, none;
    timer_t timer;
    char text[16] = "";
    int up[2], down[2], deleted, counter, clock, file, before, posix_before, i;
    unsigned char *memory;
    unsigned long long number = 0;
    pid_t child;

    if (argc > 2) return listener(argv[2]);
    if (argc > 1 && strcmp(argv[1], "threads") == 0) return threads();
    if (argc > 1) return outsider(argv[1]);
    sigemptyset(&none);
    MUST(sigaction(SIGALRM, &action, NULL) == 0 && sigaction(SIGRTMIN, &action, NULL) == 0);
    MUST(sigaction(SIGUSR2, &action, NULL) == 0);
    /* Pending signals, one of them queued twice with values. */
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGRTMIN + 1);
    MUST(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0 && raise(SIGUSR1) == 0);
    MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 41}) == 0);
    MUST(sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 42}) == 0);
    /* Three kinds of timers. */
    MUST(setitimer(ITIMER_REAL, &interval, NULL) == 0);
    MUST(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &slow, NULL) == 0);
    clock = timerfd_create(CLOCK_MONOTONIC, 0);
    MUST(clock >= 0 && timerfd_settime(clock, 0, &slow, NULL) == 0);
    counter = eventfd(7, EFD_NONBLOCK);
    MUST(counter >= 0);
    /* An unlinked file, and a file with locks. */
    deleted = open("/data/deleted", O_RDWR | O_CREAT | O_TRUNC, 0600);
    MUST(deleted >= 0 && write(deleted, "still here", 10) == 10 && unlink("/data/deleted") == 0 && lseek(deleted, 6, SEEK_SET) == 6);
    file = open("/data/locked", O_RDWR | O_CREAT, 0600);
    MUST(file >= 0 && flock(file, LOCK_EX) == 0 && fcntl(file, F_SETLK, &lock) == 0);
    /* Memory filled with a pattern. */
    memory = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(memory != MAP_FAILED);
    for (i = 0; i < 4 << 20; i++) memory[i] = (unsigned char)(i * 7 + (i >> 12));
    /* A child at the other end of two pipes, one of which already has data. */
    MUST(pipe(up) == 0 && pipe(down) == 0);
    child = fork();
    MUST(child >= 0);
    if (child == 0) {
        char byte;
        close(down[1]);
        while (read(down[0], &byte, 1) == 1)
            if (byte == '?' && write(up[1], "!", 1) != 1) _exit(1);
        _exit(7);
    }
    close(down[0]);
    MUST(write(down[1], "x", 1) == 1 && write(up[1], "a", 1) == 1);

    say("ready");
    while (!asked) pause();

    before = ticks, posix_before = posix_ticks;
    for (i = 0; i < 1000 && (ticks == before || posix_ticks == posix_before); i++) usleep(10000);
    MUST(ticks > before);
    MUST(posix_ticks > posix_before);
    MUST(read(clock, &number, sizeof number) == sizeof number && number > 0);
    MUST(read(counter, &number, sizeof number) == sizeof number && number == 7);
    MUST(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1) == 1 && sigismember(&pending, SIGUSR2) == 0);
    {
        siginfo_t info;
        MUST(sigwaitinfo(&blocked, &info) == SIGUSR1);
        MUST(sigwaitinfo(&blocked, &info) == SIGRTMIN + 1 && info.si_value.sival_int == 41);
        MUST(sigwaitinfo(&blocked, &info) == SIGRTMIN + 1 && info.si_value.sival_int == 42);
    }
    MUST(read(deleted, text, sizeof text) == 4 && memcmp(text, "here", 4) == 0);
    MUST(pread(deleted, text, sizeof text, 0) == 10 && memcmp(text, "still here", 10) == 0);
    MUST(access("/data/deleted", F_OK) == -1 && errno == ENOENT);
    MUST(locked_out("/data/locked"));
    for (i = 0; i < 4 << 20; i++)
        if (memory[i] != (unsigned char)(i * 7 + (i >> 12))) break;
    MUST(i == 4 << 20);
    MUST(write(down[1], "?", 1) == 1);
    MUST(reads(up[0], 'a') && reads(up[0], '!'));
    close(down[1]);
    {
        int status;
        while (waitpid(child, &status, 0) == -1 && errno == EINTR) {}
        MUST(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
    say("survived");
    return 0;
}
