/* SPDX-License-Identifier: MIT */
#include "opencl/nvidia.h"

#define NVIDIA_VENDOR_ID 0x10de

/* cl_nv_device_attribute_query */
#define CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV 0x4000
#define CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV 0x4001

int rwkv6_cl_compute_capability(const rwkv6_device *device) {
  const rwkv6_cl_device *d = device->cl;
  cl_uint major = 0, minor = 0;
  if (device->info.vendor_id != NVIDIA_VENDOR_ID) return 0;
  d->cl->GetDeviceInfo(d->device, CL_DEVICE_COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL);
  d->cl->GetDeviceInfo(d->device, CL_DEVICE_COMPUTE_CAPABILITY_MINOR_NV, sizeof minor, &minor, NULL);
  return (int)(10 * major + minor);
}
