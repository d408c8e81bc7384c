/* SPDX-License-Identifier: MIT */
/* What an OpenCL device can do at best, measured in the same run as the cases. */
#ifndef RWKV6_SRC_CLI_BENCH_PEAKS_H
#define RWKV6_SRC_CLI_BENCH_PEAKS_H

#include "cli/bench/backend.h"

rwkv6_status bench_opencl_peaks(rwkv6_device *device, bench_peaks *peaks, rwkv6_error *error);

#endif
