package org.parallelcomp.backend.cuda;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.backend.cuda.ffi.CudaDevice;
import org.parallelcomp.backend.cuda.ffi.Library;
import org.parallelcomp.backend.cuda.ffi.NativeLibraries;

/** What of NVIDIA's libraries and devices is here, and what that is good for. */
final class CudaInstallation {
  /** The first generation whose matrix units take BF16 (Ampere). */
  private static final int LEAST_MAJOR = 8;

  /** Above the CPU backend's 50. */
  private static final int SCORE = 100;

  private static final String MODULE = "org.parallelcomp.backend.cuda.ffm";

  private final List<Availability.Reason> reasons = new ArrayList<>();
  private final Map<Library, String> found = new LinkedHashMap<>();
  private final List<CudaDevice> devices = new ArrayList<>();

  private CudaInstallation() {}

  /**
   * Looks at everything, without throwing; loads what it finds. Nothing before the first question,
   * no field of this class either, may touch {@link Library}: it calls native code when it is
   * loaded, which Java warns of and then takes for granted.
   */
  static CudaInstallation inspect() {
    var installation = new CudaInstallation();
    if (!CudaInstallation.class.getModule().isNativeAccessEnabled()) {
      Module module = CudaInstallation.class.getModule();
      String name = module.isNamed() ? MODULE : "ALL-UNNAMED";
      installation.reasons.add(
          new Availability.Reason(
              "it may not call native code", "start java with --enable-native-access=" + name));
      return installation;
    }
    if (!"Linux".equals(System.getProperty("os.name"))) {
      installation.reasons.add(
          new Availability.Reason(
              "the backend looks for libraries of Linux, and this is "
                  + System.getProperty("os.name"),
              "run it on Linux or in the Windows Subsystem for Linux"));
      return installation;
    }
    installation.look();
    return installation;
  }

  private void look() {
    NativeLibraries.Report report = NativeLibraries.load();
    if (report.loaded(Library.DRIVER).isPresent()) {
      try {
        found.put(Library.DRIVER, version(Library.DRIVER, report));
        devices.addAll(CudaDevice.all());
        requireDevice();
      } catch (InferenceException e) {
        reasons.add(
            new Availability.Reason(e.getMessage(), "see whether nvidia-smi lists the device"));
      }
    } else {
      reasons.add(
          missing(
              Library.DRIVER,
              report,
              "install NVIDIA's driver, or give the container access to the device"));
    }
    for (Library library : List.of(Library.NVRTC, Library.CUBLAS_LT)) {
      if (report.loaded(library).isPresent()) {
        found.put(library, version(library, report));
      } else {
        reasons.add(
            missing(
                library,
                report,
                "install CUDA 12 or 13 and set CUDA_HOME, or add"
                    + " org.bytedeco:cuda:12.6-9.5-1.5.11:linux-x86_64-redist, which has all of"
                    + " them, to the class path, or name a folder by -Dparallelcomp.cuda.path"));
      }
    }
    if (report.loaded(Library.CUDNN).isPresent()) {
      found.put(Library.CUDNN, version(Library.CUDNN, report));
    }
  }

  private void requireDevice() {
    if (devices.stream().noneMatch(CudaInstallation::isUsable)) {
      reasons.add(
          new Availability.Reason(
              devices.isEmpty()
                  ? "the driver lists no device"
                  : "no device has compute capability "
                      + LEAST_MAJOR
                      + ".0: "
                      + devices.stream()
                          .map(d -> d.name() + " has " + d.computeCapability())
                          .toList(),
              "use a device of the Ampere generation or newer"));
    }
  }

  static boolean isUsable(CudaDevice device) {
    return device.major() >= LEAST_MAJOR;
  }

  private static String version(Library library, NativeLibraries.Report report) {
    NativeLibraries.Loaded loaded = report.loaded(library).orElseThrow();
    return library.version() + " (" + loaded.file() + ", by " + loaded.place() + ")";
  }

  private static Availability.Reason missing(
      Library library, NativeLibraries.Report report, String remedy) {
    return new Availability.Reason(
        library.title() + " was not found: " + String.join("; ", report.refusals(library)), remedy);
  }

  /** Returns every device that the driver lists. */
  List<CudaDevice> devices() {
    return List.copyOf(devices);
  }

  /** Returns each library's version, file and the rule that found it. */
  Map<Library, String> found() {
    return Collections.unmodifiableMap(found);
  }

  /** Returns whether the backend can be opened, or every reason why not. */
  Availability availability() {
    if (!reasons.isEmpty()) {
      return new Availability.Unusable(reasons);
    }
    var text = new StringBuilder();
    for (CudaDevice device : devices) {
      text.append(text.isEmpty() ? "" : "; ").append(describe(device));
    }
    found.forEach(
        (library, version) ->
            text.append("; ").append(library.title()).append(' ').append(version));
    if (!found.containsKey(Library.CUDNN)) {
      text.append("; without cuDNN");
    }
    return new Availability.Usable(SCORE, text.toString());
  }

  static String describe(CudaDevice device) {
    return "device "
        + device.ordinal()
        + " "
        + device.name()
        + ", compute capability "
        + device.computeCapability()
        + ", "
        + (device.totalBytes() >> 20)
        + " MiB";
  }
}
