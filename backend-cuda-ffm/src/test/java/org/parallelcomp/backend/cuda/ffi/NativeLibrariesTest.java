package org.parallelcomp.backend.cuda.ffi;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.jar.JarEntry;
import java.util.jar.JarOutputStream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

/** The search for libraries over folders made for the test; none holds a library that loads. */
@EnabledOnOs(OS.LINUX)
class NativeLibrariesTest {
  @TempDir private Path root;

  private Path folder(String... names) throws IOException {
    Path folder = root;
    for (String name : names) {
      folder = folder.resolve(name);
    }
    return Files.createDirectories(folder);
  }

  private SearchPath search(@Nullable String property, Map<String, String> variables) {
    return new SearchPath(property, variables, root.resolve("home"), root.resolve("system"));
  }

  private List<Path> folders(SearchPath search, Library library) {
    return search.places(library).stream().flatMap(place -> place.folders().stream()).toList();
  }

  @Test
  void theToolkitComesBeforeTheLoaderAndTheWheelsBehindIt() throws IOException {
    Path toolkit = folder("toolkit", "lib64");
    Path wheel = folder("venv", "lib", "python3.12", "site-packages", "nvidia", "cu13", "lib");
    SearchPath search =
        search(
            null,
            Map.of(
                "CUDA_HOME",
                root.resolve("toolkit").toString(),
                "VIRTUAL_ENV",
                root.resolve("venv").toString()));
    List<SearchPath.Place> places = search.places(Library.CUBLAS_LT);
    assertEquals(List.of(toolkit), places.get(0).folders());
    assertTrue(places.get(1).loader());
    assertEquals(List.of(wheel), places.get(2).folders());
  }

  @Test
  void aPythonOnThePathLeadsToItsWheels() throws IOException {
    Files.createFile(folder("py", "bin").resolve("python3"));
    Path wheel = folder("py", "lib", "python3.11", "site-packages", "nvidia", "cudnn", "lib");
    SearchPath search = search(null, Map.of("PATH", root.resolve("py/bin").toString()));
    assertEquals(List.of(wheel), folders(search, Library.CUDNN));
  }

  @Test
  void thePropertyIsTheOnlyPlaceButForTheDriver() throws IOException {
    Path named = folder("named");
    folder("toolkit", "lib64");
    SearchPath search =
        search(named.toString(), Map.of("CUDA_HOME", root.resolve("toolkit").toString()));
    assertEquals(List.of(named), folders(search, Library.NVRTC));
    assertEquals(1, search.places(Library.NVRTC).size());
    assertTrue(search.places(Library.DRIVER).getFirst().loader());
  }

  @Test
  void aFileThatDoesNotLoadIsRefusedInTheLoadersWords() throws IOException {
    Path named = folder("named");
    Files.writeString(named.resolve("libnvrtc.so.13"), "this is no library");
    NativeLibraries.Report report =
        new NativeLibraries(search(named.toString(), Map.of()), redist(new URL[0])).find();
    assertTrue(report.loaded(Library.NVRTC).isEmpty());
    String said = String.join("; ", report.refusals(Library.NVRTC));
    assertTrue(said.contains("libnvrtc.so.13"), said);
    assertTrue(said.contains("file too short") || said.contains("ELF"), said);
    String missing = String.join("; ", report.refusals(Library.CUBLAS_LT));
    assertTrue(missing.contains("no libcublasLt.so.13 in [" + named + "]"), missing);
  }

  @Test
  void whatTheCompilerOpensByNameIsOpenedFromItsFolder() throws IOException {
    assumeTrue(
        new DynamicLoader().open("libdl.so.2") instanceof DynamicLoader.Outcome.Opened,
        "the system's libraries are of another C library");
    var anyLibrary = (DynamicLoader.Outcome.Opened) new DynamicLoader().open("libdl.so.2");
    Path named = folder("named");
    Path builtins = named.resolve("libnvrtc-builtins.so.12.9");
    Files.copy(anyLibrary.file(), named.resolve("libnvrtc.so.12"));
    Files.copy(anyLibrary.file(), builtins);
    NativeLibraries.Report report =
        new NativeLibraries(search(named.toString(), Map.of()), redist(new URL[0])).find();
    assertEquals(
        named.resolve("libnvrtc.so.12"), report.loaded(Library.NVRTC).orElseThrow().file());
    assertTrue(Files.readString(Path.of("/proc/self/maps")).contains(builtins.toString()));
  }

  @Test
  void aRedistArtifactIsUnpackedWithWhatLiesBesideTheLibrary() throws IOException {
    Path jar = root.resolve("cuda-redist.jar");
    try (var out = new JarOutputStream(Files.newOutputStream(jar))) {
      for (String name :
          List.of("libnvrtc.so.12", "libnvrtc-builtins.so.12.9", "libcublasLt.so.12")) {
        out.putNextEntry(new JarEntry(RedistArtifact.FOLDER + name));
        out.write(name.getBytes(StandardCharsets.UTF_8));
      }
    }
    RedistArtifact artifact = redist(new URL[] {jar.toUri().toURL()});
    Path file = artifact.find(Library.NVRTC).orElseThrow();
    assertEquals("libnvrtc.so.12", Files.readString(file));
    assertEquals(
        "libnvrtc-builtins.so.12.9",
        Files.readString(file.resolveSibling("libnvrtc-builtins.so.12.9")));
    assertFalse(Files.exists(file.resolveSibling("libcublasLt.so.12")));
    assertTrue(artifact.find(Library.CUDNN).isEmpty());
    Files.writeString(file, "damaged");
    assertEquals("libnvrtc.so.12", Files.readString(artifact.find(Library.NVRTC).orElseThrow()));
  }

  private RedistArtifact redist(URL[] jars) {
    return new RedistArtifact(new URLClassLoader(jars, null), root.resolve("cache"));
  }

  @Test
  void theCacheLiesWhereTheUserKeepsCaches() {
    Path home = Path.of("/home/somebody");
    assertEquals(
        Path.of("/home/somebody/.cache/parallelcomp/cuda"), CacheFolder.of(Map.of(), home));
    assertEquals(
        Path.of("/elsewhere/parallelcomp/cuda"),
        CacheFolder.of(Map.of("XDG_CACHE_HOME", "/elsewhere"), home));
  }
}
