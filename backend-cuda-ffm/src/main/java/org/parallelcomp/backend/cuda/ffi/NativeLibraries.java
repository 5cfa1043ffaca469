package org.parallelcomp.backend.cuda.ffi;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * Finds NVIDIA's libraries and loads them into this class loader, where the bindings look for their
 * symbols. A library is loaded once per process and stays.
 */
public final class NativeLibraries {
  /**
   * A library that is loaded.
   *
   * @param file where it was found
   * @param place by what rule
   */
  public record Loaded(Path file, String place) {}

  /** What came of looking for each library: the file, or every place and what it said. */
  public static final class Report {
    private final Map<Library, Loaded> loaded = new EnumMap<>(Library.class);
    private final Map<Library, List<String>> refusals = new EnumMap<>(Library.class);

    /** Returns a library that was loaded. */
    public Optional<Loaded> loaded(Library library) {
      return Optional.ofNullable(loaded.get(library));
    }

    /** Returns what was tried for a library, place by place, with the loader's words. */
    public List<String> refusals(Library library) {
      return List.copyOf(refusals.getOrDefault(library, List.of()));
    }
  }

  private static @Nullable Report process;

  private final SearchPath search;
  private final RedistArtifact redist;
  private final DynamicLoader loader = new DynamicLoader();

  NativeLibraries(SearchPath search, RedistArtifact redist) {
    this.search = search;
    this.redist = redist;
  }

  /** Looks for all libraries and loads them; does so once per process. */
  public static synchronized Report load() {
    if (process == null) {
      var redist =
          new RedistArtifact(
              ClassLoader.getSystemClassLoader(), CacheFolder.ofProcess().resolve("libraries"));
      process = new NativeLibraries(SearchPath.ofProcess(), redist).find();
    }
    return process;
  }

  Report find() {
    var report = new Report();
    for (Library library : Library.values()) {
      var refusals = new ArrayList<String>();
      Optional<Loaded> found = find(library, refusals);
      found.ifPresent(loaded -> report.loaded.put(library, loaded));
      report.refusals.put(library, refusals);
    }
    return report;
  }

  private Optional<Loaded> find(Library library, List<String> refusals) {
    for (SearchPath.Place place : search.places(library)) {
      Optional<Path> file =
          place.loader()
              ? openByName(library, place, refusals)
              : openInFolders(library, place, refusals);
      if (file.isPresent()) {
        return Optional.of(register(library, file.get(), place.name(), refusals));
      }
    }
    if (library == Library.DRIVER || search.property() != null) {
      return Optional.empty();
    }
    return openFromRedist(library, refusals);
  }

  private Optional<Path> openByName(
      Library library, SearchPath.Place place, List<String> refusals) {
    for (String name : library.fileNames()) {
      switch (loader.open(name)) {
        case DynamicLoader.Outcome.Opened opened -> {
          return Optional.of(opened.file());
        }
        case DynamicLoader.Outcome.Refused refused ->
            refusals.add(place.name() + ": " + refused.text());
      }
    }
    return Optional.empty();
  }

  private Optional<Path> openInFolders(
      Library library, SearchPath.Place place, List<String> refusals) {
    boolean seen = false;
    for (Path folder : place.folders()) {
      for (String name : library.fileNames()) {
        Path file = folder.resolve(name);
        if (Files.exists(file)) {
          seen = true;
          switch (loader.open(file.toString())) {
            case DynamicLoader.Outcome.Opened opened -> {
              return Optional.of(opened.file());
            }
            case DynamicLoader.Outcome.Refused refused ->
                refusals.add(place.name() + ": " + refused.text());
          }
        }
      }
    }
    if (!seen) {
      refusals.add(
          place.name()
              + (place.folders().isEmpty()
                  ? ": no folder"
                  : ": no " + library.fileNames().getFirst() + " in " + place.folders()));
    }
    return Optional.empty();
  }

  private Optional<Loaded> openFromRedist(Library library, List<String> refusals) {
    String place = "org.bytedeco:cuda on the class path";
    try {
      Optional<Path> file = redist.find(library);
      if (file.isEmpty()) {
        refusals.add(place + ": not there");
        return Optional.empty();
      }
      return switch (loader.open(file.get().toString())) {
        case DynamicLoader.Outcome.Opened opened ->
            Optional.of(register(library, opened.file(), place, refusals));
        case DynamicLoader.Outcome.Refused refused -> {
          refusals.add(place + ": " + refused.text());
          yield Optional.empty();
        }
      };
    } catch (IOException e) {
      refusals.add(place + ": cannot be unpacked: " + e);
      return Optional.empty();
    }
  }

  /** Makes the library's symbols visible to the bindings; the system's loader has it open. */
  private Loaded register(Library library, Path file, String place, List<String> refusals) {
    openCompanions(library, file, place, refusals);
    System.load(file.toAbsolutePath().toString());
    return new Loaded(file, place);
  }

  /**
   * Opens the files beside a library that it opens by their names alone when they are needed: the
   * loader finds what is open already, wherever it lies. NVRTC of CUDA 12 does not say that its own
   * folder should be looked in.
   */
  private void openCompanions(Library library, Path file, String place, List<String> refusals) {
    Optional<String> prefix = library.companions();
    if (prefix.isEmpty()) {
      return;
    }
    try (DirectoryStream<Path> companions =
        Files.newDirectoryStream(file.toAbsolutePath().getParent(), prefix.get() + "*")) {
      for (Path companion : companions) {
        if (loader.open(companion.toString()) instanceof DynamicLoader.Outcome.Refused refused) {
          refusals.add(place + ": " + refused.text());
        }
      }
    } catch (IOException e) {
      refusals.add(place + ": what lies beside " + file + " cannot be listed: " + e);
    }
  }
}
