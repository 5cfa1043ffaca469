package org.parallelcomp.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.engine.Figures;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.Trace;
import org.parallelcomp.engine.Trace.ChunkTrace;
import org.parallelcomp.report.Page.Fact;

/** Puts a report into the words and lengths of its page. */
final class PageBuilder {
  /** Parts of the strip: three pixels each on a phone. */
  private static final int CELLS = 120;

  /** The most characters of passages, so that a page opens at once whatever was kept. */
  private static final int MOST_SHOWN = 40_000;

  private final Report report;
  private final GenerationResult result;
  private final Figures figures;
  private final Trace trace;
  private final Explanation explanation;
  private final int pairs;

  PageBuilder(Report report, Trace trace) {
    this.report = report;
    this.result = report.result();
    this.figures = result.figures();
    this.trace = trace;
    this.explanation = Explanation.of(trace);
    this.pairs = explanation.pairs();
  }

  Page page() {
    List<Page.Passage> passages = passages();
    return new Page(
        Report.css(),
        report.question(),
        result.answer(),
        outcome(),
        result.warnings(),
        headline(),
        strip(),
        scores(),
        "Each token is shaded by how many of the "
            + Numbers.count(pairs, "pair")
            + " of layer and kv head kept its key and value.",
        passages,
        gap(lastKept() + 1, trace.chunks().size()),
        heatMaps(),
        new AttentionSection(trace, explanation, result.plan().policy(PolicyKind.CALIBRATION))
            .section(),
        List.of(timings(), bytes()),
        new RunTables(report).tables());
  }

  private String outcome() {
    return switch (result.finishReason()) {
      case STOP_TOKEN -> "";
      case STOP_STRING -> "Ended by a stop string.";
      case MAX_TOKENS -> "Ended at the greatest number of tokens.";
      case NO_CHUNK_KEPT -> "No chunk was kept, so nothing was answered.";
      case CANCELLED -> "Interrupted.";
    };
  }

  private List<Fact> headline() {
    var facts = new ArrayList<Fact>();
    facts.add(new Fact("tokens in", Numbers.count(figures.textTokens() + figures.promptTokens())));
    facts.add(
        new Fact("chunks kept", figures.keptChunks() + " of " + Numbers.count(figures.chunks())));
    facts.add(
        new Fact(
            "keys and values",
            Numbers.bytes(figures.fullCacheBytes())
                + " → "
                + Numbers.bytes(figures.keptCacheBytes())));
    facts.add(new Fact("first token", "after " + Numbers.seconds(figures.firstTokenNanos())));
    facts.add(new Fact("preset", result.plan().name()));
    facts.add(new Fact("model", result.model()));
    return facts;
  }

  // ---- the text ----

  private Page.Strip strip() {
    int characters = Math.max(1, report.text().length());
    long[] keys = new long[CELLS];
    long[] kept = new long[CELLS];
    for (int token = 0; token < trace.fromChar().length; token++) {
      int cell = (int) ((long) trace.fromChar()[token] * CELLS / characters);
      keys[cell] += pairs;
      kept[cell] += explanation.keptBy()[token];
    }
    var cells = new ArrayList<Page.Cell>();
    for (int cell = 0; cell < CELLS; cell++) {
      if (kept[cell] == 0) {
        continue;
      }
      int from = (int) ((long) cell * characters / CELLS);
      int to = (int) ((cell + 1L) * characters / CELLS);
      double share = (double) kept[cell] / keys[cell];
      cells.add(
          new Page.Cell(
              cell,
              Numbers.css(0.4 + 0.6 * share),
              "Characters "
                  + Numbers.count(from)
                  + " to "
                  + Numbers.count(to)
                  + ": "
                  + Numbers.percent(share)
                  + " of all keys kept",
              passageAt(from, to)));
    }
    String summary =
        cells.isEmpty()
            ? "Nothing of the text was kept."
            : "Something was kept of "
                + cells.size()
                + " of "
                + CELLS
                + " equal parts of the text: the darker, the more.";
    return new Page.Strip(summary, CELLS, cells, Numbers.count(report.text().length()));
  }

  /** Returns the name of the first kept passage that has characters in a part of the text. */
  private String passageAt(int from, int to) {
    return trace.chunks().stream()
        .filter(ChunkTrace::kept)
        .filter(
            chunk ->
                trace.fromChar()[chunk.fromToken()] < to
                    && trace.toChar()[chunk.toToken() - 1] > from)
        .findFirst()
        .map(chunk -> "chunk-" + chunk.chunk())
        .orElse("passages");
  }

  private List<Page.Passage> passages() {
    var passages = new ArrayList<Page.Passage>();
    int behind = 0;
    int shown = 0;
    for (ChunkTrace chunk : trace.chunks()) {
      if (!chunk.kept()) {
        continue;
      }
      List<Shading.Run> all =
          Shading.of(
                  report.text(),
                  chunk.fromToken(),
                  chunk.toToken(),
                  trace.fromChar(),
                  trace.toChar(),
                  explanation.keptBy(),
                  pairs)
              .runs();
      var runs = new ArrayList<Shading.Run>();
      for (Shading.Run run : all) {
        if (shown + run.text().length() > MOST_SHOWN) {
          break;
        }
        runs.add(run);
        shown += run.text().length();
      }
      passages.add(
          new Page.Passage(
              gap(behind, chunk.chunk()),
              chunk.chunk(),
              "Chunk " + chunk.chunk(),
              details(chunk),
              runs,
              runs.size() < all.size()
                  ? "The rest is left out, so that the page stays light."
                  : ""));
      behind = chunk.chunk() + 1;
    }
    return passages;
  }

  private int lastKept() {
    return trace.chunks().stream()
        .filter(ChunkTrace::kept)
        .mapToInt(ChunkTrace::chunk)
        .max()
        .orElse(-1);
  }

  /** Says what lies between two kept chunks, or nothing if they adjoin. */
  private String gap(int fromChunk, int toChunk) {
    if (toChunk <= fromChunk) {
      return "";
    }
    int from = trace.fromChar()[trace.chunks().get(fromChunk).fromToken()];
    int to = trace.toChar()[trace.chunks().get(toChunk - 1).toToken() - 1];
    return Numbers.count(toChunk - fromChunk, "chunk")
        + " not kept, "
        + Numbers.count(to - from, "character");
  }

  private String details(ChunkTrace chunk) {
    var parts = new ArrayList<String>();
    parts.add(characters(chunk));
    if (Double.isFinite(chunk.selfInformation())) {
      parts.add("self-information " + Numbers.three(chunk.selfInformation()) + " nats");
    }
    long kept =
        IntStream.range(chunk.fromToken(), chunk.toToken())
            .mapToLong(token -> explanation.keptBy()[token])
            .sum();
    int tokens = chunk.toToken() - chunk.fromToken();
    parts.add(
        Numbers.percent((double) kept / ((double) tokens * pairs))
            + " of the keys of "
            + Numbers.count(tokens, "token")
            + " kept");
    return String.join(" · ", parts);
  }

  private String characters(ChunkTrace chunk) {
    return "characters "
        + Numbers.count(trace.fromChar()[chunk.fromToken()])
        + " to "
        + Numbers.count(trace.toChar()[chunk.toToken() - 1]);
  }

  // ---- the chunks ----

  private List<Page.Chart> scores() {
    if (trace.chunks().stream().anyMatch(c -> Double.isFinite(c.selfInformation()))) {
      return List.of(
          chart(
              "Self-information of the question",
              "In nats: how surprising the question is behind each chunk. The lower the bar, the"
                  + " better the chunk explains the question.",
              ChunkTrace::selfInformation));
    }
    if (trace.chunks().stream().anyMatch(c -> Double.isFinite(c.score()))) {
      return List.of(
          chart(
              "Scores of the chunks",
              "By the plan's chunk scorer, "
                  + result.plan().policy(PolicyKind.CHUNK_SCORER)
                  + ". The higher the bar, the better.",
              ChunkTrace::score));
    }
    return List.of();
  }

  private Page.Chart chart(String name, String rule, ToDoubleFunction<ChunkTrace> value) {
    double[] values =
        trace.chunks().stream().mapToDouble(value).filter(Double::isFinite).sorted().toArray();
    double top = values[values.length - 1];
    // Scores may lie anywhere; bars of those that are never negative begin at 0.
    double bottom = Math.min(0, values[0]);
    double range = top > bottom ? top - bottom : 1;
    var bars = new ArrayList<Page.Bar>();
    for (ChunkTrace chunk : trace.chunks()) {
      double number = value.applyAsDouble(chunk);
      boolean known = Double.isFinite(number);
      double height = known ? Math.max(1, 100 * (number - bottom) / range) : 0;
      String text = known ? Numbers.three(number) : "not scored";
      bars.add(
          new Page.Bar(
              chunk.chunk(),
              Numbers.css(100 - height),
              Numbers.css(height),
              "Chunk " + chunk.chunk() + ": " + text + (chunk.kept() ? ", kept" : ""),
              chunk.kept(),
              characters(chunk).replace("characters ", ""),
              Numbers.count(chunk.toToken() - chunk.fromToken()),
              text));
    }
    String kept =
        trace.chunks().stream()
            .filter(ChunkTrace::kept)
            .map(chunk -> chunk.chunk() + " (" + Numbers.three(value.applyAsDouble(chunk)) + ")")
            .limit(8)
            .collect(Collectors.joining(", "));
    return new Page.Chart(
        name,
        rule,
        "From "
            + Numbers.three(values[0])
            + " to "
            + Numbers.three(top)
            + ", half of them below "
            + Numbers.three(values[values.length / 2])
            + (kept.isEmpty() ? "; none was kept." : "; kept: chunk " + kept + "."),
        bars.size(),
        Numbers.three(top),
        bars,
        Numbers.count(bars.size(), "chunk"));
  }

  // ---- layers and heads ----

  private List<Page.HeatMap> heatMaps() {
    if (explanation.layers().isEmpty()) {
      return List.of();
    }
    int tokens = Math.max(1, explanation.contextTokens());
    var rows = new ArrayList<Page.Row>();
    for (int layer = 0; layer < explanation.layers().size(); layer++) {
      int number = layer + 1;
      rows.add(
          new Page.Row(
              number,
              explanation.layers().get(layer).keptTokens().stream()
                  .map(
                      kept ->
                          new Page.Share(
                              Numbers.css((double) kept / tokens),
                              Numbers.percent((double) kept / tokens),
                              Numbers.count(kept, "token")))
                  .toList(),
              Numbers.bytes(result.cache().layers().get(layer).keptBytes())));
    }
    return List.of(
        new Page.HeatMap(
            (result.citations().isEmpty() ? "of the text's " : "of the kept chunks' ")
                + Numbers.count(tokens, "token"),
            IntStream.range(0, rows.getFirst().shares().size()).boxed().toList(),
            rows));
  }

  // ---- what it cost ----

  private Page.Bars timings() {
    return bars(
        "Time",
        Numbers::seconds,
        List.of("text to tokens", "chunks", "merge and question", "answer"),
        List.of(
            figures.readNanos(),
            figures.prefillNanos(),
            figures.mergeNanos(),
            figures.decodeNanos()));
  }

  private Page.Bars bytes() {
    return bars(
        "Keys and values",
        Numbers::bytes,
        List.of("everything, uncut", "answer decoded from", "when the answer was complete"),
        List.of(figures.fullCacheBytes(), figures.keptCacheBytes(), result.cache().finalBytes()));
  }

  private interface Words {
    String of(long number);
  }

  private static Page.Bars bars(String title, Words words, List<String> names, List<Long> numbers) {
    long most = Math.max(1, numbers.stream().max(Comparator.naturalOrder()).orElseThrow());
    return new Page.Bars(
        title,
        IntStream.range(0, names.size())
            .mapToObj(
                i ->
                    new Page.Quantity(
                        names.get(i),
                        words.of(numbers.get(i)),
                        Numbers.css(100.0 * numbers.get(i) / most)))
            .toList());
  }
}
