package org.parallelcomp.backend.onnx.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * Finds ONNX Runtime's shared library and loads it, once per process: a file that was named, or
 * what the artifact {@code com.microsoft.onnxruntime:onnxruntime} (or {@code onnxruntime_gpu})
 * holds for this platform.
 */
public final class OrtLibrary {
  /** The property that names the library's file for the whole process. */
  public static final String PROPERTY = "parallelcomp.onnx.library";

  private static final String FOLDER = "/ai/onnxruntime/native/";

  /** Libraries of execution providers, which the first one looks for beside itself. */
  private static final List<String> PROVIDERS = List.of("shared", "cuda", "tensorrt");

  private static @Nullable OrtLibrary loaded;

  private final OrtApi api;
  private final String origin;
  private final List<String> providers;

  private OrtLibrary(OrtApi api, String origin) {
    this.api = api;
    this.origin = origin;
    this.providers = readProviders(api);
  }

  /**
   * Loads the library, or returns it if it is there already.
   *
   * @throws InferenceException BACKEND_UNAVAILABLE with what to add
   */
  public static synchronized OrtLibrary load() {
    if (loaded == null) {
      String named = System.getProperty(PROPERTY);
      try {
        loaded =
            named == null
                ? new OrtLibrary(OrtApi.load(unpack()), "its artifact")
                : new OrtLibrary(OrtApi.load(Path.of(named)), named);
      } catch (IOException | RuntimeException e) {
        throw e instanceof InferenceException refused
            ? refused
            : new InferenceException(
                ErrorCode.BACKEND_UNAVAILABLE,
                "ONNX Runtime's library cannot be loaded: " + e.getMessage() + ".",
                e);
      }
    }
    return loaded;
  }

  /** Copies the libraries of this platform to files, which go when the process ends. */
  private static Path unpack() throws IOException {
    String folder = FOLDER + platform() + "/";
    String main = System.mapLibraryName("onnxruntime");
    if (resource(folder + main) == null) {
      throw new InferenceException(
          ErrorCode.BACKEND_UNAVAILABLE,
          "ONNX Runtime's library for "
              + platform()
              + " was not found; add the artifact com.microsoft.onnxruntime:onnxruntime, or name the"
              + " library's file with -D"
              + PROPERTY
              + "=FILE.");
    }
    Path target = Files.createTempDirectory("parallelcomp-onnxruntime");
    target.toFile().deleteOnExit();
    var names = new ArrayList<>(List.of(main));
    PROVIDERS.forEach(name -> names.add(System.mapLibraryName("onnxruntime_providers_" + name)));
    for (String name : names) {
      URL found = resource(folder + name);
      if (found != null) {
        Path file = target.resolve(name);
        try (InputStream stream = found.openStream()) {
          Files.copy(stream, file);
        }
        file.toFile().deleteOnExit();
      }
    }
    return target.resolve(main);
  }

  /** The folder's name is no package's, so that the artifact need not be opened to this module. */
  private static @Nullable URL resource(String path) {
    return ClassLoader.getSystemResource(path.substring(1)) != null
        ? ClassLoader.getSystemResource(path.substring(1))
        : OrtLibrary.class.getResource(path);
  }

  /** Returns the artifact's name for this platform, such as linux-x64. */
  static String platform() {
    String os = System.getProperty("os.name").toLowerCase(Locale.ROOT);
    String arch = System.getProperty("os.arch");
    String system = os.startsWith("windows") ? "win" : os.startsWith("mac") ? "osx" : "linux";
    String processor =
        switch (arch) {
          case "amd64", "x86_64" -> "x64";
          default -> arch;
        };
    return system + "-" + processor;
  }

  OrtApi api() {
    return api;
  }

  /** Returns the library's version. */
  public String version() {
    return api.version();
  }

  /** Returns where the library came from. */
  public String origin() {
    return origin;
  }

  /** Returns the execution providers that this build of the library holds, best first. */
  public List<String> providers() {
    return providers;
  }

  private static List<String> readProviders(OrtApi api) {
    try (var arena = java.lang.foreign.Arena.ofConfined()) {
      MemorySegment names = arena.allocate(ValueLayout.ADDRESS);
      MemorySegment count = arena.allocate(ValueLayout.JAVA_INT);
      api.call(OrtFunction.GET_AVAILABLE_PROVIDERS, names, count);
      int length = count.get(ValueLayout.JAVA_INT, 0);
      MemorySegment first = names.get(ValueLayout.ADDRESS, 0);
      MemorySegment list = first.reinterpret(length * ValueLayout.ADDRESS.byteSize());
      var found = new ArrayList<String>();
      for (int i = 0; i < length; i++) {
        found.add(OrtApi.string(list.getAtIndex(ValueLayout.ADDRESS, i)));
      }
      api.call(OrtFunction.RELEASE_AVAILABLE_PROVIDERS, first, length);
      return List.copyOf(found);
    }
  }
}
