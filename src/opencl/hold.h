/* SPDX-License-Identifier: MIT */
/*
 * Programs that are rehearsed and kept, by one thread of the process at a time: PoCL 3.1 ends the process by an assertion where
 * a binary is made of a program whose kernels are launched for the first time, also if the two are of different contexts. So
 * programs are known by what they are built from, not by their objects.
 */
#ifndef RWKV6_SRC_OPENCL_HOLD_H
#define RWKV6_SRC_OPENCL_HOLD_H

typedef struct rwkv6_cl_hold {
  const char *name;           /* of the program (opencl/context.h) */
  struct rwkv6_cl_hold *mine; /* the next of those that the caller wants together */
  struct rwkv6_cl_hold *all;  /* the next of all that are held */
} rwkv6_cl_hold;

/* Waits until no thread holds any of these, and then holds all at once, so no two threads wait for each other. They are the
 * caller's, who holds nothing yet. */
void rwkv6_cl_hold_all(rwkv6_cl_hold *first);
void rwkv6_cl_let_go(rwkv6_cl_hold *first);

#endif
