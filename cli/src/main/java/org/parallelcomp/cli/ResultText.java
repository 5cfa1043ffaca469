package org.parallelcomp.cli;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.Locale;
import org.parallelcomp.engine.CacheReport;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationResult;

/** What is printed below an answer: the passages it came from, and one line of figures. */
final class ResultText {
  private ResultText() {}

  static String of(GenerationResult result) {
    var text = new StringBuilder();
    if (!result.citations().isEmpty()) {
      text.append("\nFrom ")
          .append(passages(result.figures()))
          .append(", the one that explains the question best first:\n");
      result.citations().stream()
          // NaN, not computed, comes last.
          .sorted(Comparator.comparingDouble(Citation::selfInformation))
          .forEach(citation -> append(text, citation, result.answer()));
    }
    return text.append('\n').append(figures(result)).append('\n').toString();
  }

  private static String passages(Figures figures) {
    return figures.keptChunks() == 1
        ? "1 passage of " + Units.count(figures.chunks())
        : Units.count(figures.keptChunks()) + " passages of " + Units.count(figures.chunks());
  }

  private static void append(StringBuilder text, Citation citation, String answer) {
    text.append("  chunk ").append(Units.count(citation.chunk()));
    text.append(", characters ").append(Units.count(citation.fromChar()));
    text.append(" to ").append(Units.count(citation.toChar()));
    if (!Double.isNaN(citation.selfInformation())) {
      text.append(
          String.format(Locale.ROOT, ", self-information %.3f nats", citation.selfInformation()));
    }
    Quotation quotation = Quotation.of(citation, answer);
    text.append("\n    at ").append(Units.count(quotation.fromChar())).append(": ");
    text.append(quotation.words()).append('\n');
  }

  /** Returns one line: tokens, chunks, bytes before and after, time and speed of each phase. */
  static String figures(GenerationResult result) {
    Figures figures = result.figures();
    var parts = new ArrayList<String>();
    parts.add(Units.count(figures.textTokens() + figures.promptTokens()) + " tokens in");
    if (figures.chunks() > 0) {
      parts.add(
          Units.count(figures.keptChunks())
              + " of "
              + Units.count(figures.chunks())
              + " chunks kept");
    }
    parts.add(
        "KV cache "
            + Units.bytes(figures.fullCacheBytes())
            + " -> "
            + Units.bytes(figures.keptCacheBytes())
            + compression(result.cache()));
    parts.add("read " + Units.seconds(figures.readNanos()));
    parts.add(
        "prefill "
            + Units.seconds(figures.prefillNanos())
            + " + merge "
            + Units.seconds(figures.mergeNanos())
            + speed(figures.prefillTokensPerSecond()));
    parts.add(
        "decode " + Units.seconds(figures.decodeNanos()) + speed(figures.decodeTokensPerSecond()));
    parts.add("first token after " + Units.seconds(figures.firstTokenNanos()));
    return String.join(", ", parts);
  }

  private static String compression(CacheReport cache) {
    return switch (cache.compression()) {
      case APPLIED, NOT_ASKED -> "";
      case NOTHING_TO_EVICT, SHORT_CHUNKS -> " (nothing to evict)";
      case NOT_APPLIED -> " (budget not applied)";
    };
  }

  private static String speed(double tokensPerSecond) {
    return tokensPerSecond > 0
        ? String.format(Locale.ROOT, " (%,.0f tokens/s)", tokensPerSecond)
        : "";
  }
}
