/* SPDX-License-Identifier: MIT */
#include "opencl/hold.h"

#include <string.h>

#include "platform.h"

static rwkv6_mutex lock = RWKV6_MUTEX_INIT;
static rwkv6_condition let_go = RWKV6_CONDITION_INIT;
static rwkv6_cl_hold *held;

static bool is_held(const char *name) {
  const rwkv6_cl_hold *other = held;
  while (other && strcmp(other->name, name) != 0) other = other->all;
  return other != NULL;
}

static bool is_any_held(const rwkv6_cl_hold *first) {
  while (first && !is_held(first->name)) first = first->mine;
  return first != NULL;
}

void rwkv6_cl_hold_all(rwkv6_cl_hold *first) {
  rwkv6_mutex_lock(&lock);
  while (is_any_held(first)) rwkv6_condition_wait(&let_go, &lock);
  for (; first; first = first->mine) {
    first->all = held;
    held = first;
  }
  rwkv6_mutex_unlock(&lock);
}

void rwkv6_cl_let_go(rwkv6_cl_hold *first) {
  rwkv6_mutex_lock(&lock);
  for (; first; first = first->mine) {
    rwkv6_cl_hold **link = &held;
    while (*link != first) link = &(*link)->all;
    *link = first->all;
  }
  rwkv6_condition_wake_all(&let_go);
  rwkv6_mutex_unlock(&lock);
}
