/* SPDX-License-Identifier: MIT */
/* The launches of one call: each begins when the one before it is done, whatever the queue. */
#ifndef RWKV6_SRC_OPENCL_CHAIN_H
#define RWKV6_SRC_OPENCL_CHAIN_H

#include "opencl/call.h"

typedef struct rwkv6_cl_chain {
  const rwkv6_cl_functions *cl;
  int64_t left;                         /* launches to come */
  bool begun;                           /* the wait list has been given to a launch */
  cl_event last;                        /* of the launch before; NULL on an in-order queue, which keeps the order by itself */
  struct rwkv6_cl_rehearsal *rehearsal; /* not NULL: this is no run, see rehearsal.h */
} rwkv6_cl_chain;

/* Enqueues the next launch. */
cl_int rwkv6_cl_chain_launch(const rwkv6_cl_call *call, cl_kernel kernel, size_t global, size_t local);

#endif
