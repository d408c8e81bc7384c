/* SPDX-License-Identifier: MIT */
/*
 * Failures made to order. Every call of a kind is counted, and one of them, or it and all after it, fails: calls of OpenCL (by
 * the fake library), allocations and calls of the operating system (by wrappers that the linker puts in between).
 */
#ifndef RWKV6_TESTS_FAULTS_FAULTS_H
#define RWKV6_TESTS_FAULTS_FAULTS_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fault_kind { FAULT_OPENCL, FAULT_MEMORY, FAULT_SYSTEM, FAULT_KINDS } fault_kind;

/* Counts anew. The `at`-th call of `kind` fails (0: none), if `lasting` all after it as well. */
void faults_begin(fault_kind kind, long at, bool lasting);

/* For those who fail: counts a call and says whether it is to fail. */
bool faults_here(fault_kind kind, const char *name);

long faults_count(fault_kind kind);
/* The first call that failed; NULL: none did. */
const char *faults_failed(void);

/* Allocations of the program that are not freed. */
long faults_allocated(void);

/* Neither counted nor made to fail. */
void *faults_plain_calloc(size_t count, size_t size);
void faults_plain_free(void *memory);

#endif
