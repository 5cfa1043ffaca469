package org.parallelcomp.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Option;

/** Which cases there are: how long their texts are, how many, and in which books. */
final class GridOptions {
  @Option(
      names = "--lengths",
      paramLabel = "TOKENS,...",
      description = "Default: ${DEFAULT-VALUE}.")
  private String lengths;

  @Option(
      names = "--samples",
      paramLabel = "COUNT",
      description = "Cases of each cell. Default: ${DEFAULT-VALUE}.")
  private int samples;

  @Option(
      names = "--filler",
      paramLabel = "FILE",
      description =
          "A book to hide facts in or to take passages from; may be repeated. Default, where facts"
              + " are hidden: repeated noise.")
  private List<Path> filler = new ArrayList<>();

  /**
   * @param lengths where none are named
   * @param samples where no number is named
   */
  GridOptions(String lengths, int samples) {
    this.lengths = lengths;
    this.samples = samples;
  }

  String lengths() {
    return lengths;
  }

  int samples() {
    return samples;
  }

  List<Path> filler() {
    return filler;
  }
}
