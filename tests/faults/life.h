/* SPDX-License-Identifier: MIT */
/* Everything that a user of OpenCL devices does, from the first question to the last destroy, once. */
#ifndef RWKV6_TESTS_FAULTS_LIFE_H
#define RWKV6_TESTS_FAULTS_LIFE_H

#include "rwkv6/rwkv6.h"

/* Ends at the first call that fails, gives everything back, and returns that call's status. */
rwkv6_status life(const char *cache_dir, rwkv6_error *error);

#endif
