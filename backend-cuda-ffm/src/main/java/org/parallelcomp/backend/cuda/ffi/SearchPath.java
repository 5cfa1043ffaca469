package org.parallelcomp.backend.cuda.ffi;

import java.io.File;
import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Where NVIDIA's libraries are looked for, in order: the folders of the property, those of the
 * toolkit's variables, the loader's own path, the folders of NVIDIA's Python wheels, and the
 * artifact {@code org.bytedeco:cuda} on the class path. Where the property is set, nothing else
 * counts but for the driver, which only the loader knows.
 *
 * @param property value of {@link #PROPERTY}, or null
 * @param variables the environment
 * @param home the user's folder
 * @param system the root of the file system, another one in tests
 */
record SearchPath(
    @Nullable String property, Map<String, String> variables, Path home, Path system) {
  /** The property that names folders. */
  static final String PROPERTY = "parallelcomp.cuda.path";

  private static final List<String> TOOLKIT_VARIABLES = List.of("CUDA_HOME", "CUDA_PATH");

  /** Where the driver's library is mounted in containers, and by Windows for its Linux. */
  private static final List<String> DRIVER_FOLDERS =
      List.of("usr/local/nvidia/lib64", "usr/lib/wsl/lib");

  /** A place to look at: folders, or the loader's own path where there are none. */
  record Place(String name, List<Path> folders, boolean loader) {}

  /** Returns the search path of this process. */
  static SearchPath ofProcess() {
    return new SearchPath(
        System.getProperty(PROPERTY),
        System.getenv(),
        Path.of(System.getProperty("user.home", "/")),
        Path.of("/"));
  }

  /** Returns the places to look at for a library, in order. */
  List<Place> places(Library library) {
    if (library == Library.DRIVER) {
      return List.of(
          new Place("the loader's path", List.of(), true),
          new Place(
              "the driver's usual folders",
              existing(DRIVER_FOLDERS.stream().map(system::resolve).toList()),
              false));
    }
    if (property != null) {
      return List.of(new Place("the property " + PROPERTY, propertyFolders(), false));
    }
    return List.of(
        new Place(String.join(" and ", TOOLKIT_VARIABLES), toolkitFolders(), false),
        new Place("the loader's path", List.of(), true),
        new Place("NVIDIA's Python wheels", wheelFolders(), false));
  }

  private List<Path> propertyFolders() {
    var folders = new ArrayList<Path>();
    for (String folder : property.split(File.pathSeparator)) {
      folders.addAll(List.of(Path.of(folder), Path.of(folder, "lib64"), Path.of(folder, "lib")));
    }
    return existing(folders);
  }

  private List<Path> toolkitFolders() {
    var folders = new ArrayList<Path>();
    for (String variable : TOOLKIT_VARIABLES) {
      String toolkit = variables.get(variable);
      if (toolkit != null && !toolkit.isBlank()) {
        folders.add(Path.of(toolkit, "lib64"));
        folders.add(Path.of(toolkit, "lib"));
        folders.add(Path.of(toolkit, "targets", "x86_64-linux", "lib"));
      }
    }
    return existing(folders);
  }

  /**
   * Returns every {@code site-packages/nvidia/*}{@code /lib} beside a Python that is likely used.
   */
  private List<Path> wheelFolders() {
    Set<Path> prefixes = new LinkedHashSet<>();
    for (String variable : List.of("VIRTUAL_ENV", "CONDA_PREFIX")) {
      String prefix = variables.get(variable);
      if (prefix != null && !prefix.isBlank()) {
        prefixes.add(Path.of(prefix));
      }
    }
    Arrays.stream(variables.getOrDefault("PATH", "").split(File.pathSeparator))
        .filter(folder -> !folder.isBlank())
        .map(Path::of)
        .filter(folder -> Files.exists(folder.resolve("python3")))
        .filter(folder -> folder.getParent() != null)
        .map(Path::getParent)
        .forEach(prefixes::add);
    prefixes.add(home.resolve(".local"));
    prefixes.add(system.resolve("usr/local"));
    prefixes.add(system.resolve("usr"));
    var folders = new ArrayList<Path>();
    for (Path prefix : prefixes) {
      for (Path python : children(prefix.resolve("lib"), "python3*")) {
        for (String packages : List.of("site-packages", "dist-packages")) {
          for (Path wheel : children(python.resolve(packages).resolve("nvidia"), "*")) {
            folders.add(wheel.resolve("lib"));
          }
        }
      }
    }
    return existing(folders);
  }

  /** Returns a folder's entries in the order of their names; none if it cannot be read. */
  private static List<Path> children(Path folder, String pattern) {
    var entries = new ArrayList<Path>();
    if (Files.isDirectory(folder)) {
      try (DirectoryStream<Path> stream = Files.newDirectoryStream(folder, pattern)) {
        stream.forEach(entries::add);
      } catch (IOException e) {
        // A folder of somebody else; what lies there cannot be loaded either.
        return List.of();
      }
    }
    entries.sort(null);
    return entries;
  }

  private static List<Path> existing(List<Path> folders) {
    return folders.stream().filter(Files::isDirectory).distinct().toList();
  }
}
