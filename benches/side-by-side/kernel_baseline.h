/*
 * The kernel baseline: creates, runs and deletes a container with nothing but the system calls that the kernel needs.
 * kernel_baseline_init.c makes the mounts, devices and masks of the default configuration, pivots and executes /bin/true of
 * the root filesystem; it is spawned as the library spawns, from a sealed memory file without copying a page table.
 * x86_64 only.
 */
#ifndef KERNEL_BASELINE_H
#define KERNEL_BASELINE_H

#include "bench.h"
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static int baseline_image = -1;
static char baseline_stack[65536];

static inline void baseline_open(const char *init) {
    struct stat found;
    int file = open(init, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &found) < 0)
        die(init);
    char *bytes = malloc(found.st_size);
    baseline_image = memfd_create("kernel-baseline-init", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (!bytes || read(file, bytes, found.st_size) != found.st_size ||
        write(baseline_image, bytes, found.st_size) != found.st_size)
        die(init);
    fcntl(baseline_image, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
    free(bytes);
    close(file);
}

/* Runs one container in a new cgroup below `cgroups`, a directory of the v2 tree. */
static inline void baseline_run(char *rootfs, const char *cgroups) {
    char folder[512];
    int pidfd = -1;
    siginfo_t info;
    snprintf(folder, sizeof folder, "%s/berth-baseline-%d", cgroups, (int)getpid());
    if (mkdir(folder, 0755) < 0)
        die(folder);
    int cgroup = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct clone_args args = {
        .flags = CLONE_PIDFD | CLONE_VFORK | CLONE_VM | CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                 CLONE_NEWPID | CLONE_NEWNET | CLONE_INTO_CGROUP,
        .exit_signal = SIGCHLD,
        .pidfd = (unsigned long)&pidfd,
        .cgroup = cgroup,
        .stack = (unsigned long)baseline_stack,
        .stack_size = sizeof baseline_stack,
    };
    char *argv[] = {"init", rootfs, NULL};
    long result;
    /* The child may not return into a frame that it shares with its parent: two calls without one. */
    __asm__ volatile(
        "syscall\n\ttest %%rax,%%rax\n\tjnz 1f\n\t"
        "mov %[image],%%edi\n\tmov %[empty],%%rsi\n\tmov %[argv],%%rdx\n\tmov %[envp],%%r10\n\t"
        "mov $0x1000,%%r8d\n\tmov $322,%%eax\n\tsyscall\n\tmov $60,%%eax\n\tmov $77,%%edi\n\tsyscall\n1:"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(&args), "S"(sizeof args), [image] "r"(baseline_image), [empty] "r"(""), [argv] "r"(argv),
          [envp] "r"(environ)
        : "rcx", "r11", "rdx", "r10", "r8", "memory");
    if (result < 0 || waitid(P_PIDFD, pidfd, &info, WEXITED) < 0 || info.si_status != 0)
        die("kernel baseline");
    close(pidfd);
    close(cgroup);
    if (rmdir(folder) < 0)
        die(folder);
}

#endif
