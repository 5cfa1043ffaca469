package org.parallelcomp.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.jspecify.annotations.Nullable;

/**
 * Cases of one method that belong together.
 *
 * @param method as the specification names it
 * @param task kind of question
 * @param tokens length of the texts
 * @param depth where the needle stands, or null
 * @param cases how many there were
 * @param errors how many have no score; then the cell has none either
 * @param score mean score, or null
 * @param perplexity exp of the mean negative log-likelihood over all scored tokens, or null
 * @param divergence mean divergence from full attention, or null
 * @param keptBytes mean bytes of keys and values that were kept
 * @param fullBytes mean bytes without eviction
 * @param prefillSeconds mean time until the question had been read, or null
 * @param decodeSecondsPerToken mean time of an answer's token behind the first, or null
 */
public record Cell(
    String method,
    String task,
    int tokens,
    @Nullable Double depth,
    int cases,
    int errors,
    @Nullable Double score,
    @Nullable Double perplexity,
    @Nullable Double divergence,
    long keptBytes,
    long fullBytes,
    @Nullable Double prefillSeconds,
    @Nullable Double decodeSecondsPerToken) {
  private record Key(String method, String task, int tokens, @Nullable Double depth) {}

  /** Returns the cells of some cases, in the order in which their first cases come. */
  static List<Cell> of(List<CaseResult> cases) {
    Map<Key, List<CaseResult>> groups = new LinkedHashMap<>();
    for (CaseResult result : cases) {
      groups
          .computeIfAbsent(
              new Key(result.method(), result.task(), result.tokens(), result.depth()),
              key -> new ArrayList<>())
          .add(result);
    }
    return groups.entrySet().stream().map(group -> of(group.getKey(), group.getValue())).toList();
  }

  private static Cell of(Key key, List<CaseResult> cases) {
    int errors = (int) cases.stream().filter(result -> result.error() != null).count();
    List<CaseResult> counted = cases.stream().filter(result -> result.error() == null).toList();
    double tokens = counted.stream().mapToDouble(CaseResult::scoredTokens).sum();
    double nats =
        counted.stream()
            .filter(result -> result.nats() != null)
            .mapToDouble(result -> result.nats() * result.scoredTokens())
            .sum();
    long decoded = counted.stream().mapToLong(r -> Math.max(0, r.answerTokens() - 1)).sum();
    List<Double> decodeSeconds =
        counted.stream().map(CaseResult::decodeSeconds).filter(Objects::nonNull).toList();
    boolean whole = errors == 0;
    return new Cell(
        key.method,
        key.task,
        key.tokens,
        key.depth,
        cases.size(),
        errors,
        whole ? mean(counted, CaseResult::score) : null,
        whole && tokens > 0 ? Math.exp(nats / tokens) : null,
        whole ? mean(counted, CaseResult::divergence) : null,
        (long) average(counted, CaseResult::keptBytes),
        (long) average(counted, CaseResult::fullBytes),
        mean(counted, CaseResult::prefillSeconds),
        decoded == 0 || decodeSeconds.isEmpty()
            ? null
            : decodeSeconds.stream().mapToDouble(Double::doubleValue).sum() / decoded);
  }

  private static @Nullable Double mean(
      List<CaseResult> cases, Function<CaseResult, @Nullable Double> number) {
    List<Double> numbers = cases.stream().map(number).filter(Objects::nonNull).toList();
    return numbers.isEmpty()
        ? null
        : numbers.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
  }

  private static double average(List<CaseResult> cases, ToDoubleFunction<CaseResult> number) {
    return cases.stream().mapToDouble(number).average().orElse(0);
  }
}
