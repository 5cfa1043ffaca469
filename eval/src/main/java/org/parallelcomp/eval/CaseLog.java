package org.parallelcomp.eval;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;

/**
 * The cases that are done, a JSON object a line behind a line that says what is evaluated, by what.
 * Lines are only ever added, so that an evaluation that was stopped goes on where it was.
 */
public final class CaseLog {
  /** What the cases are of. */
  private record Header(String format, EvalSpec spec, Environment environment) {}

  private static final String FORMAT = "parallelcomp-eval-cases/1";

  private final Path file;
  private final List<CaseResult> done;

  private CaseLog(Path file, List<CaseResult> done) {
    this.file = file;
    this.done = done;
  }

  /**
   * Opens a log, or begins it. A last line that was cut off while it was written is dropped.
   *
   * @throws InferenceException if the file holds the cases of something else
   */
  public static CaseLog open(Path file, EvalSpec spec, Environment environment) {
    try {
      if (!Files.exists(file)) {
        if (file.toAbsolutePath().getParent() != null) {
          Files.createDirectories(file.toAbsolutePath().getParent());
        }
        Files.writeString(file, EvalJson.line(new Header(FORMAT, spec, environment)) + "\n");
        return new CaseLog(file, new ArrayList<>());
      }
      String text = Files.readString(file);
      int end = text.lastIndexOf('\n') + 1;
      List<String> lines = text.substring(0, end).lines().toList();
      if (lines.isEmpty()) {
        throw different(file);
      }
      Header header = EvalJson.read(lines.getFirst(), Header.class, file.toString());
      if (!header.format.equals(FORMAT)
          || !header.spec.equals(spec)
          || !header.environment.equals(environment)) {
        throw different(file);
      }
      if (end < text.length()) {
        Files.writeString(file, text.substring(0, end));
      }
      List<CaseResult> done = new ArrayList<>();
      for (String line : lines.subList(1, lines.size())) {
        done.add(EvalJson.read(line, CaseResult.class, file.toString()));
      }
      return new CaseLog(file, done);
    } catch (IOException e) {
      throw failure(file, e);
    }
  }

  private static InferenceException different(Path file) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT,
        "'"
            + file
            + "' holds the cases of another evaluation (other plans, cases, model, backend or"
            + " version); choose another folder, or delete the file to begin anew.");
  }

  static InferenceException failure(Path file, IOException e) {
    return new InferenceException(
        ErrorCode.FILE_NOT_READABLE,
        "'" + file + "' cannot be read or written: " + e.getMessage() + ".",
        e);
  }

  /** Returns the cases that are done. */
  public List<CaseResult> done() {
    return List.copyOf(done);
  }

  /** Adds a case. */
  void add(CaseResult result) {
    try {
      Files.write(
          file,
          (EvalJson.line(result) + "\n").getBytes(StandardCharsets.UTF_8),
          StandardOpenOption.APPEND);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    done.add(result);
  }
}
