package org.parallelcomp.backend.cuda.ffi;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.bindings.CublasLt;
import org.parallelcomp.backend.cuda.bindings.CudaDriver;
import org.parallelcomp.backend.cuda.bindings.Cudnn;
import org.parallelcomp.backend.cuda.bindings.Nvrtc;

/** The libraries that are bound: their file names, and what their status codes mean. */
public enum Library {
  /** The driver's own library, which comes with the driver and with nothing else. */
  DRIVER("the CUDA driver", List.of("libcuda.so.1", "libcuda.so")) {
    @Override
    String text(int status) {
      return driverName(status) + " (" + status + "): " + driverText(status);
    }

    @Override
    public String version() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment out = arena.allocate(ValueLayout.JAVA_INT);
        check("cuDriverGetVersion", CudaDriver.cuDriverGetVersion(out));
        int version = out.get(ValueLayout.JAVA_INT, 0);
        return version / 1000 + "." + version % 1000 / 10;
      }
    }
  },
  /** The compiler of the kernels. */
  NVRTC("NVRTC", List.of("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so")) {
    @Override
    Optional<String> companions() {
      return Optional.of("libnvrtc-builtins.so");
    }

    @Override
    String text(int status) {
      return Nvrtc.nvrtcGetErrorString(status).getString(0) + " (" + status + ")";
    }

    @Override
    public String version() {
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment major = arena.allocate(ValueLayout.JAVA_INT);
        MemorySegment minor = arena.allocate(ValueLayout.JAVA_INT);
        check("nvrtcVersion", Nvrtc.nvrtcVersion(major, minor));
        return major.get(ValueLayout.JAVA_INT, 0) + "." + minor.get(ValueLayout.JAVA_INT, 0);
      }
    }
  },
  /** Matrix products. */
  CUBLAS_LT("cuBLASLt", List.of("libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so")) {
    @Override
    String text(int status) {
      return CublasLt.cublasLtGetStatusName(status).getString(0)
          + " ("
          + status
          + "): "
          + CublasLt.cublasLtGetStatusString(status).getString(0);
    }

    @Override
    public String version() {
      long version = CublasLt.cublasLtGetVersion();
      return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
    }
  },
  /** Fused attention; optional. */
  CUDNN("cuDNN", List.of("libcudnn.so.9", "libcudnn.so")) {
    @Override
    String text(int status) {
      return Cudnn.cudnnGetErrorString(status).getString(0) + " (" + status + ")";
    }

    @Override
    public String version() {
      long version = Cudnn.cudnnGetVersion();
      return version / 10_000 + "." + version / 100 % 100 + "." + version % 100;
    }
  };

  private static final int OUT_OF_MEMORY = CudaDriver.CUDA_ERROR_OUT_OF_MEMORY();

  private final String title;
  private final List<String> fileNames;

  Library(String title, List<String> fileNames) {
    this.title = title;
    this.fileNames = fileNames;
  }

  /** Returns the name for people. */
  public String title() {
    return title;
  }

  /** Returns the file names to look for, the newest version first. */
  List<String> fileNames() {
    return fileNames;
  }

  /** Returns how the names of files begin that the library opens by itself, by name alone. */
  Optional<String> companions() {
    return Optional.empty();
  }

  /** Returns a status' name and meaning in the library's own words. */
  abstract String text(int status);

  /** Returns the version of the library that was loaded. */
  public abstract String version();

  /**
   * Throws unless a call succeeded. Every call of every library passes here; zero is success in all
   * of them.
   *
   * @param callee the function that returned the status
   */
  void check(String callee, int status) {
    if (status != 0) {
      throw new InferenceException(
          this == DRIVER && status == OUT_OF_MEMORY
              ? ErrorCode.OUT_OF_MEMORY
              : ErrorCode.DEVICE_FAILURE,
          callee + " of " + title + " failed: " + text(status) + ".");
    }
  }

  private static String driverName(int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      int asked = CudaDriver.cuGetErrorName(status, out);
      return asked == 0 ? string(out) : "unknown error";
    }
  }

  private static String driverText(int status) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(ValueLayout.ADDRESS);
      int asked = CudaDriver.cuGetErrorString(status, out);
      return asked == 0 ? string(out) : "the driver has no text for it";
    }
  }

  private static String string(MemorySegment pointer) {
    return pointer.get(ValueLayout.ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
  }
}
