/* SPDX-License-Identifier: MIT */
/* What the files of the fake library share: its objects, and how its calls are counted and made to fail. */
#ifndef RWKV6_TESTS_FAULTS_FAKE_LIBRARY_H
#define RWKV6_TESTS_FAULTS_FAKE_LIBRARY_H

#include <stdbool.h>

#include "fake_opencl.h"
#include "opencl/loader.h"

/* ---- objects */

typedef enum fake_kind { CONTEXT = 1, QUEUE, BUFFER, PROGRAM, KERNEL, EVENT } fake_kind;

/* Dead objects keep their place, so that every later use of one is seen. */
typedef struct fake_object {
  fake_kind kind;
  int references; /* 0: released */
  cl_mem_flags flags;
  size_t size;          /* of a buffer or a binary */
  unsigned char *bytes; /* of a buffer, or the binary of a program; owned */
  size_t work_group;    /* that a program and its kernels were built for */
  bool built, binary;   /* a program: is built, was made from a binary */
  char options[256];    /* of a program that is built */
  cl_context context;   /* of a queue, a buffer or an event */
  cl_command_queue_properties properties;
  cl_program program; /* of a kernel */
  char name[64];      /* of a kernel */
} fake_object;

/* Their addresses are the handles. */
extern char fake_platform, fake_device;

/* What fake_opencl_misuse tells, unless there was misuse before. */
void fake_note(const char *function, const char *what);

fake_object *fake_create(fake_kind kind);
fake_object *fake_create_buffer(cl_context context, cl_mem_flags flags, size_t size);
/* NULL, with a note, if the handle is not of a living object of that kind. */
fake_object *fake_check(const void *handle, fake_kind kind, const char *function);
void fake_check_device(const void *handle, const char *function);
/* Returns `code`. */
cl_int fake_release(const void *handle, fake_kind kind, const char *function, cl_int code);

/* ---- calls */

#define FAKE_NUMBER(name) FAKE_##name,
typedef enum fake_function { RWKV6_CL_FUNCTIONS(FAKE_NUMBER) FAKE_FUNCTIONS } fake_function;

/* The functions in this order. */
extern const rwkv6_opencl_function fake_calls[FAKE_FUNCTIONS];

/* Counts a call and says whether it is to fail, then with fake_code. */
bool fake_fails(fake_function function);
/* The same under another name than the function's. */
bool fake_fails_as(fake_function function, const char *name);
extern cl_int fake_code;
/* Notes a transfer that waits where the library may only enqueue. */
void fake_check_blocking(cl_bool blocking, fake_function function);

/* Work-items that a work-group of a kernel may have. */
size_t fake_work_group(const char *kernel);
/* 10 * major + minor of an NVIDIA GPU; 0: the device is none. */
extern int fake_compute_capability;
/* Builds with this among their options fail; NULL: none does. */
extern const char *fake_refused;
/* The place of the text that is to be another, from 1 on; 0: none. */
extern int fake_changed_text;

#endif
