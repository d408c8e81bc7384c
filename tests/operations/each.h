/* SPDX-License-Identifier: MIT */
/* Running one case on every variant of a device, failing the cmocka test with everything needed to run it again. */
#ifndef RWKV6_TESTS_OPERATIONS_EACH_H
#define RWKV6_TESTS_OPERATIONS_EACH_H

#include "cmocka_all.h"
#include "conform/check.h"
#include "devices.h"

/* Both operations (backward where the form has one), both modes, every variant, on every device. */
void test_each_variant(const test_devices *devices, const conform_case *test, const char *about);
/* One run of each, without the further ones that compare bits: for cases that take long. */
void test_each_variant_once(const test_devices *devices, const conform_case *test, const char *about);

/* Fails the test, with the command that checks the case again, unless everything holds that `checks` (conform_check_set) names.
 */
void test_check(const conform_subject *subject, const conform_case *test, unsigned checks, const char *about);

/* Of the subject's plan; fails the test if there is none. */
rwkv6_plan_info test_plan_info(const conform_subject *subject, const rwkv6_problem *problem);

conform_subject test_subject_of(const test_devices *devices, size_t device, const rwkv6_variant *variant);

#endif
