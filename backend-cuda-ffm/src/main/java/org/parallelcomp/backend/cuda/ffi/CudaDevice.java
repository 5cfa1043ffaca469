package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;

/**
 * A device as the driver lists it.
 *
 * @param ordinal its number, from 0
 * @param name the maker's name
 * @param major compute capability, as in 9 of 9.0
 * @param minor compute capability, as in 0 of 9.0
 * @param multiprocessors how many there are
 * @param sharedBytesPerBlock greatest dynamic shared memory of a block
 * @param totalBytes memory of the device
 */
public record CudaDevice(
    int ordinal,
    String name,
    int major,
    int minor,
    int multiprocessors,
    int sharedBytesPerBlock,
    long totalBytes) {
  /** Returns every device; the driver must be loaded. */
  public static List<CudaDevice> all() {
    Library.DRIVER.check("cuInit", CudaDriver.cuInit(0));
    int count = Slots.integer(Library.DRIVER, "cuDeviceGetCount", CudaDriver::cuDeviceGetCount);
    var devices = new ArrayList<CudaDevice>();
    for (int ordinal = 0; ordinal < count; ordinal++) {
      devices.add(of(ordinal));
    }
    return devices;
  }

  private static CudaDevice of(int ordinal) {
    int device = handle(ordinal);
    return new CudaDevice(
        ordinal,
        nameOf(device),
        attribute(device, CudaDriver.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR()),
        attribute(device, CudaDriver.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR()),
        attribute(device, CudaDriver.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT()),
        attribute(device, CudaDriver.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN()),
        Slots.word(
            Library.DRIVER,
            "cuDeviceTotalMem_v2",
            out -> CudaDriver.cuDeviceTotalMem_v2(out, device)));
  }

  static int handle(int ordinal) {
    return Slots.integer(
        Library.DRIVER, "cuDeviceGet", out -> CudaDriver.cuDeviceGet(out, ordinal));
  }

  private static int attribute(int device, int attribute) {
    return Slots.integer(
        Library.DRIVER,
        "cuDeviceGetAttribute",
        out -> CudaDriver.cuDeviceGetAttribute(out, attribute, device));
  }

  private static String nameOf(int device) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment name = arena.allocate(256);
      Library.DRIVER.check(
          "cuDeviceGetName", CudaDriver.cuDeviceGetName(name, (int) name.byteSize(), device));
      return name.getString(0);
    }
  }

  /**
   * Returns the architecture to compile for, as in {@code sm_90a}: the device's own, with the
   * instructions that only it has where there are such.
   */
  public String architecture() {
    return architecture(major, minor);
  }

  static String architecture(int major, int minor) {
    return "sm_" + major + minor + (major >= 9 ? "a" : "");
  }

  /** Returns whether a kernel can start before those in front of it are done. */
  boolean startsEarly() {
    return major >= 9;
  }

  /** Returns the compute capability, as in 9.0. */
  public String computeCapability() {
    return major + "." + minor;
  }
}
