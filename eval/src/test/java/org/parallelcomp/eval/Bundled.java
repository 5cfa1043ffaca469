package org.parallelcomp.eval;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.models.needle6m.Needle6m;

/** The bundled model, and the held-out books. */
public final class Bundled {
  private static final Path BOOKS = Path.of("../integration-tests/src/test/resources/heldout");

  private Bundled() {}

  /** Returns what opens the bundled model. */
  public static EngineConfig config() throws IOException {
    return EngineConfig.of(Needle6m.path()).withThreads(2);
  }

  /** Returns the files of the books. */
  public static List<Path> books() {
    return Stream.of("war-and-peace", "moby-dick", "the-brothers-karamazov", "bleak-house")
        .map(book -> BOOKS.resolve(book + ".txt.gz"))
        .toList();
  }

  /** Returns the books. */
  public static List<String> texts() {
    return books().stream().map(Engine::readText).toList();
  }
}
