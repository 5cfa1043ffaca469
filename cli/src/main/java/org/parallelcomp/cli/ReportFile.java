package org.parallelcomp.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.cli.EngineAccess.Opened;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.report.Report;

/**
 * The file of a report.
 *
 * @param path where it goes
 */
record ReportFile(Path path) {
  /** Returns the file of a path that can be written as far as one can tell before. */
  static ReportFile at(Path path) {
    Path folder = path.toAbsolutePath().getParent();
    if (Files.isDirectory(path) || folder == null || !Files.isDirectory(folder)) {
      throw refusal(path, Files.isDirectory(path) ? "it is a folder" : "its folder does not exist");
    }
    return new ReportFile(path);
  }

  private static InferenceException refusal(Path path, String reason) {
    return new InferenceException(
        ErrorCode.INVALID_ARGUMENT, "The report " + path + " cannot be written: " + reason + ".");
  }

  /**
   * Writes the report.
   *
   * @param words the words of the command
   */
  void write(
      String text, String question, Opened opened, GenerationResult result, List<String> words) {
    var report = new Report(text, question, result, opened.model(), opened.backend(), facts(words));
    try {
      Files.writeString(path, report.html());
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT, "The report " + path + " cannot be written: " + e + ".", e);
    }
  }

  private static Map<String, String> facts(List<String> words) {
    var facts = new LinkedHashMap<String, String>();
    facts.put(
        "command",
        words.stream()
            .map(ReportFile::quoted)
            .collect(Collectors.joining(" ", "parallelcomp ", "")));
    facts.put("parallelcomp", ParallelComp.Version.number());
    facts.put("Java", Runtime.version() + ", " + System.getProperty("java.vm.name"));
    facts.put("system", System.getProperty("os.name") + ", " + System.getProperty("os.arch"));
    return facts;
  }

  /** Returns a word as a shell reads it. */
  private static String quoted(String word) {
    return word.matches("[\\w@%+=:,./-]+") ? word : "'" + word.replace("'", "'\\''") + "'";
  }
}
