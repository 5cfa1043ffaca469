package org.parallelcomp.it;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.eval.Method;
import org.parallelcomp.eval.cases.EvalCase;
import org.parallelcomp.eval.cases.HiddenFacts;

/**
 * Counts what every token policy finds at the same budgets, and every plan as it is, and writes
 * {@code docs/policies.md} from the counts.
 *
 * <pre>
 * PolicyTable run MODEL HELDOUT_FOLDER RESULTS.tsv CHUNKS_FOLDER [--cases=20] [--tokens=32768] [--only=TEXT]
 *     [--minutes=N] [--shard=I/N]
 * PolicyTable time MODEL HELDOUT_FOLDER RESULTS.tsv CHUNKS_FOLDER [--cases=5] …
 * PolicyTable render RESULTS.tsv
 * </pre>
 *
 * <p>Counts bear a busy machine and times do not: so {@code time} runs a few cases of one task,
 * each row warm, to be called when nothing else runs.
 *
 * <p>A run appends one line per row, budget and task to the results and passes over what is already
 * there, so it can be stopped and taken up again; {@code --shard=2/3} runs every third cell,
 * beginning with the second, so that several processes can share the work. Which chunks are kept
 * does not depend on the token policy, and the prefill of a chunk does not depend on the other
 * chunks: so the chunks are chosen once per case, kept in a folder, and each token policy prefills
 * the kept chunks alone.
 */
final class PolicyTable {
  /** A token policy: everything that decides which tokens of a kept chunk stay. */
  private record Row(String name, String scorer, String selector, boolean pyramid) {
    Row(String name, String scorer) {
      this(name, scorer, "top-k", false);
    }
  }

  private static final List<Row> ROWS =
      List.of(
          new Row("random", "random"),
          new Row("first tokens", "none"),
          new Row("streaming-llm", "streaming-llm"),
          new Row("key-norm", "key-norm"),
          new Row("key-diff", "key-diff"),
          new Row("key-diff, block-wise", "none", "block-wise", false),
          new Row("lag-kv", "lag-kv"),
          new Row("cur", "cur"),
          new Row("leverage", "leverage"),
          new Row("non-causal-attention", "non-causal-attention"),
          new Row("compactor", "compactor"),
          new Row("expected-attention", "expected-attention"),
          new Row("cap-kv", "cap-kv"),
          new Row("h2o", "h2o"),
          new Row("observed-attention", "observed-attention"),
          new Row("tova", "tova"),
          new Row("finch", "finch"),
          new Row("snapkv", "snapkv"),
          new Row("snapkv, pyramid", "snapkv", "top-k", true),
          new Row("snapkv, ada-kv", "snapkv", "ada-kv", false),
          new Row("snapkv, critical-kv", "snapkv", "critical-kv", false),
          new Row("snapkv, critical-kv, ada-kv", "snapkv", "critical-kv(selector=ada-kv)", false),
          new Row("snapkv, chunk-kv", "snapkv", "chunk-kv", false),
          new Row("snapkv, per-block", "snapkv", "per-block", false),
          new Row("snapkv, protected", "snapkv", "protected", false),
          new Row("window-attention", "window-attention"),
          new Row("window-attention, ada-kv", "window-attention", "ada-kv", false),
          new Row("window-attention, pyramid", "window-attention", "top-k", true));

  // The sections of the results.
  private static final String TOKENS = "tokens";
  private static final String TOKEN_TIMES = "token-times";
  private static final String PLANS_AS_THEY_ARE = "plans";
  private static final String PLAN_TIMES = "plan-times";

  private static final String EVERYTHING = "everything";
  private static final List<String> BUDGETS = List.of("1/2", "1/4", "1/8");

  /** Whole plans, each over the whole text. */
  private static final List<String> PLANS =
      List.of(
          "parallelcomp",
          "parallelcomp + budget=everything",
          "parallelcomp-reread",
          "parallelcomp-adaptive",
          "parallelcomp + chunk-eviction=best(chunks=2) + budget=everything",
          "parallelcomp + chunk-eviction=best(chunks=4) + budget=everything",
          "parallelcomp + chunk-eviction=best(chunks=4) + budget=everything + merge=ape",
          "parallelcomp + chunk-eviction=best(chunks=2) + budget=everything + merge=reread",
          "parallelcomp-paper",
          "parallelcomp-calibrated",
          "parallelcomp + chunk-scorer=bm25",
          "parallelcomp + chunk-scorer=random",
          "parallelcomp + chunk-scorer=first",
          "streaming-llm");

  /** What was counted of a row, a budget and a task. */
  private record Cell(
      String section,
      String row,
      String budget,
      HiddenFacts.Task task,
      int right,
      int cases,
      long keptBytes,
      double policyMillis,
      double seconds) {
    String line() {
      return String.format(
          Locale.ROOT,
          "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%.3f\t%.3f",
          section,
          row,
          budget,
          task,
          right,
          cases,
          keptBytes,
          policyMillis,
          seconds);
    }

    static Cell parse(String line) {
      String[] c = line.split("\t");
      return new Cell(
          c[0],
          c[1],
          c[2],
          HiddenFacts.Task.valueOf(c[3]),
          Integer.parseInt(c[4]),
          Integer.parseInt(c[5]),
          Long.parseLong(c[6]),
          Double.parseDouble(c[7]),
          Double.parseDouble(c[8]));
    }

    boolean isOf(String otherSection, String otherRow, String otherBudget) {
      return section.equals(otherSection) && row.equals(otherRow) && budget.equals(otherBudget);
    }
  }

  private final Engine engine;
  private final HiddenFacts cases;
  private final Path results;
  private final Path chunkFolder;
  private final int tokens;
  private final int count;
  private final boolean timing;
  private final int shard;
  private final int shards;
  private int cells;

  private PolicyTable(
      Engine engine,
      HiddenFacts cases,
      Path results,
      Path chunkFolder,
      int tokens,
      int count,
      boolean timing,
      int shard,
      int shards) {
    this.engine = engine;
    this.cases = cases;
    this.results = results;
    this.chunkFolder = chunkFolder;
    this.tokens = tokens;
    this.count = count;
    this.timing = timing;
    this.shard = shard;
    this.shards = shards;
  }

  public static void main(String[] args) throws IOException {
    List<String> plain = Arrays.stream(args).filter(arg -> !arg.startsWith("--")).toList();
    Map<String, String> options =
        Arrays.stream(args)
            .filter(arg -> arg.startsWith("--"))
            .collect(
                Collectors.toMap(
                    arg -> arg.substring(2, arg.indexOf('=')),
                    arg -> arg.substring(arg.indexOf('=') + 1)));
    if (plain.getFirst().equals("render")) {
      System.out.print(render(read(Path.of(plain.get(1)))));
      return;
    }
    Path model = Path.of(plain.get(1));
    int tokens = Integer.parseInt(options.getOrDefault("tokens", "32768"));
    boolean timing = plain.getFirst().equals("time");
    int count = Integer.parseInt(options.getOrDefault("cases", timing ? "5" : "20"));
    long until =
        System.nanoTime()
            + 60_000_000_000L * Long.parseLong(options.getOrDefault("minutes", "1000000"));
    String[] shard = options.getOrDefault("shard", "1/1").split("/");
    try (Engine engine = Engine.open(EngineConfig.of(model))) {
      var table =
          new PolicyTable(
              engine,
              new HiddenFacts(LongTexts.heldoutBooks(engine, Path.of(plain.get(2)))),
              Path.of(plain.get(3)),
              Files.createDirectories(Path.of(plain.get(4))),
              tokens,
              count,
              timing,
              Integer.parseInt(shard[0]) - 1,
              Integer.parseInt(shard[1]));
      table.run(options.getOrDefault("only", ""), until);
    }
  }

  /** Does what is not done, the rows that are quick first, until the time is up. */
  private void run(String only, long until) throws IOException {
    Predicate<String> wanted = row -> row.contains(only);
    for (String budget : concat(List.of(EVERYTHING), BUDGETS)) {
      for (Row row : budget.equals(EVERYTHING) ? List.of(new Row(EVERYTHING, "none")) : ROWS) {
        for (HiddenFacts.Task task : tasks()) {
          if (wanted.test(row.name()) && System.nanoTime() < until) {
            fill(
                timing ? TOKEN_TIMES : TOKENS,
                row.name(),
                budget,
                task,
                index -> token(row, budget, task, index));
          }
        }
      }
    }
    for (String plan : PLANS) {
      for (HiddenFacts.Task task : tasks()) {
        if (wanted.test(plan) && System.nanoTime() < until) {
          fill(
              timing ? PLAN_TIMES : PLANS_AS_THEY_ARE,
              plan,
              "",
              task,
              index -> whole(plan, task, index));
        }
      }
    }
  }

  private List<HiddenFacts.Task> tasks() {
    return timing ? List.of(HiddenFacts.Task.NUMBER) : List.of(HiddenFacts.Task.values());
  }

  /** One case of a cell. */
  private interface Run {
    GenerationResult run(int index) throws IOException;
  }

  private void fill(String section, String row, String budget, HiddenFacts.Task task, Run run)
      throws IOException {
    if (cells++ % shards != shard) {
      return;
    }
    if (read(results).stream()
        .anyMatch(cell -> cell.isOf(section, row, budget) && cell.task() == task)) {
      return;
    }
    int right = 0;
    long bytes = 0;
    long nanos = 0;
    if (timing) {
      if (section.equals(TOKEN_TIMES)) {
        keptChunks(cases.create(task, tokens, 0, count), task, 0);
      }
      run.run(0);
    }
    PolicyTableProvider.takeNanos();
    for (int index = 0; index < count; index++) {
      EvalCase retrieval = cases.create(task, tokens, index, count);
      if (section.equals(TOKENS) || section.equals(TOKEN_TIMES)) {
        keptChunks(retrieval, task, index);
      }
      long begin = System.nanoTime();
      GenerationResult result = run.run(index);
      nanos += System.nanoTime() - begin;
      right += retrieval.score(result.answer()) == 1 ? 1 : 0;
      bytes += result.figures().keptCacheBytes();
    }
    double policyMillis = PolicyTableProvider.takeNanos() / 1e6 / count;
    var cell =
        new Cell(
            section,
            row,
            budget,
            task,
            right,
            count,
            bytes / count,
            policyMillis,
            nanos / 1e9 / count);
    Files.writeString(
        results, cell.line() + "\n", StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    System.err.println(cell.line());
  }

  private GenerationResult ask(String text, String question, Plan plan) {
    return engine.generate(
        GenerationRequest.ask(text, question).withPlan(plan).withMaxTokens(24), TokenSink.NONE);
  }

  private GenerationResult whole(String plan, HiddenFacts.Task task, int index) {
    EvalCase retrieval = cases.create(task, tokens, index, count);
    return ask(retrieval.text(), retrieval.question(), Method.parse(plan, engine::plan).plan());
  }

  /** Returns the texts of the chunks that explain the question best: two where two are asked. */
  private List<String> keptChunks(EvalCase retrieval, HiddenFacts.Task task, int index)
      throws IOException {
    Path file =
        chunkFolder.resolve(
            task.name().toLowerCase(Locale.ROOT) + "-" + tokens + "-" + index + "-" + count);
    // U+001E, the record separator, is in no book.
    if (!Files.exists(file)) {
      int chunks = task == HiddenFacts.Task.TWO ? 2 : 1;
      Plan plan =
          engine
              .plan("parallelcomp")
              .with(PolicyKind.BUDGET, PolicySpec.of(EVERYTHING))
              .with(PolicyKind.CHUNK_EVICTION, "chunks", chunks);
      List<Citation> kept = ask(retrieval.text(), retrieval.question(), plan).citations();
      Files.writeString(
          file, kept.stream().map(Citation::text).collect(Collectors.joining("\u001E")));
    }
    return List.of(Files.readString(file).split("\u001E"));
  }

  private GenerationResult token(Row row, String budget, HiddenFacts.Task task, int index)
      throws IOException {
    EvalCase retrieval = cases.create(task, tokens, index, count);
    List<String> chunks = keptChunks(retrieval, task, index);
    String lengths =
        chunks.subList(0, chunks.size() - 1).stream()
            .map(chunk -> Integer.toString(engine.tokenize(chunk).tokens()))
            .collect(Collectors.joining(", ", "[", "]"));
    String mean =
        budget.equals(EVERYTHING)
            ? EVERYTHING
            : "fraction(keep=" + 1.0 / Integer.parseInt(budget.substring(2)) + ")";
    Plan plan =
        engine
            .plan("parallelcomp")
            .with(PolicyKind.CHUNKING, PolicySpec.parse("cut-at(lengths=" + lengths + ")"))
            .with(PolicyKind.CHUNK_SCORER, PolicySpec.of("none"))
            .with(PolicyKind.CHUNK_EVICTION, PolicySpec.of("all"))
            .with(
                PolicyKind.BUDGET,
                PolicySpec.parse(row.pyramid() ? "pyramid(budget=" + mean + ")" : mean))
            .with(PolicyKind.TOKEN_SCORER, PolicySpec.parse("timed(scorer=" + row.scorer() + ")"))
            .with(PolicyKind.SELECTOR, PolicySpec.parse("timed(selector=" + row.selector() + ")"));
    return ask(String.join("", chunks), retrieval.question(), plan);
  }

  private static List<String> concat(List<String> a, List<String> b) {
    var all = new ArrayList<>(a);
    all.addAll(b);
    return all;
  }

  private static List<Cell> read(Path results) {
    try {
      return Files.exists(results)
          ? Files.readAllLines(results).stream().map(Cell::parse).toList()
          : List.of();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  // ---- the page ----

  private static final String INTRODUCTION =
      """
      # What the policies find

      Seeded retrieval cases as in [retrieval.md](retrieval.md), hidden in 32,768 tokens of books that no training step has
      seen, answered by the bundled model (needle-6m, Q8_0) on the CPU backend. This page is written by

          scripts/policies.sh

      which takes up where it was stopped; the counts are in [policies.tsv](policies.tsv). Of each kept chunk the policies
      keep the same share of its tokens: 1/2, 1/4 or 1/8. The chunks (512 tokens; one, but two where two values are asked
      for) are those that `parallelcomp` keeps; each policy prefills them as `parallelcomp` does and decides what stays.

      *looks at*: **question** policies see the question while they decide; **text** policies do not, so their caches could
      serve any question; **nothing** is a control. *ms* is the time that scorer and selector took per case of *number*,
      evidence included, beside a prefill of 512 tokens; `scripts/policies.sh --times` took it on a machine with two cores
      and nothing else to do.
      """;

  private static String render(List<Cell> cells) {
    var page = new StringBuilder(INTRODUCTION);
    page.append(
        "\n## At a glance\n\nRight answers of all tasks, in percent, best first at 1/8.\n\n");
    page.append(
        "| policy | looks at | 1/2 | 1/4 | 1/8 | ms |\n| --- | --- | --- | --- | --- | --- |\n");
    page.append(glance(cells, EVERYTHING, EVERYTHING)).append('\n');
    ROWS.stream()
        .map(Row::name)
        .filter(row -> cells.stream().anyMatch(cell -> cell.row().equals(row)))
        .sorted(
            Comparator.comparingDouble((String row) -> -percent(of(cells, row, "1/8")))
                .thenComparingDouble(row -> -percent(of(cells, row, "1/4")))
                .thenComparingDouble(row -> -percent(of(cells, row, "1/2"))))
        .forEach(row -> page.append(glance(cells, row, null)).append('\n'));
    for (String budget : BUDGETS) {
      page.append("\n## ").append(budget).append(" of the kept chunks' tokens\n\n");
      tasks(page, "policy", "ms");
      for (Row row : ROWS) {
        line(page, row.name(), of(cells, row.name(), budget), millis(cells, row.name(), budget));
      }
    }
    page.append(
        """

        ## Whole plans

        From the whole text to the answer: which chunks are kept, and how they become one context.

        """);
    tasks(page, "plan", "s a case");
    for (String plan : PLANS) {
      line(
          page,
          plan,
          cells.stream().filter(cell -> cell.isOf(PLANS_AS_THEY_ARE, plan, "")).toList(),
          seconds(cells, plan));
    }
    return page.toString();
  }

  private static List<Cell> of(List<Cell> cells, String row, String budget) {
    return cells.stream().filter(cell -> cell.isOf(TOKENS, row, budget)).toList();
  }

  private static double percent(List<Cell> cells) {
    int right = cells.stream().mapToInt(Cell::right).sum();
    int all = cells.stream().mapToInt(Cell::cases).sum();
    return all == 0 ? -1 : 100.0 * right / all;
  }

  private static String glance(List<Cell> cells, String row, String budget) {
    var line = new StringBuilder("| ").append(row).append(" | ").append(looksAt(row)).append(" |");
    for (String column : BUDGETS) {
      double percent = percent(of(cells, row, budget == null ? column : budget));
      line.append(percent < 0 ? " |" : String.format(Locale.ROOT, " %.0f |", percent));
    }
    OptionalDouble millis =
        cells.stream()
            .filter(cell -> cell.section().equals(TOKEN_TIMES) && cell.row().equals(row))
            .mapToDouble(Cell::policyMillis)
            .average();
    return line.append(number(" %.1f |", millis)).toString();
  }

  private static OptionalDouble millis(List<Cell> cells, String row, String budget) {
    return cells.stream()
        .filter(cell -> cell.isOf(TOKEN_TIMES, row, budget))
        .mapToDouble(Cell::policyMillis)
        .average();
  }

  private static OptionalDouble seconds(List<Cell> cells, String plan) {
    return cells.stream()
        .filter(cell -> cell.isOf(PLAN_TIMES, plan, ""))
        .mapToDouble(Cell::seconds)
        .average();
  }

  /** What was not measured stays empty. */
  private static String number(String format, OptionalDouble value) {
    return value.isPresent() ? String.format(Locale.ROOT, format, value.getAsDouble()) : " |";
  }

  private static final Set<String> SEE_NOTHING =
      Set.of(EVERYTHING, "random", "first tokens", "streaming-llm");
  private static final Set<String> SEE_QUESTION =
      Set.of("h2o", "observed-attention", "tova", "finch", "snapkv", "window-attention");

  private static String looksAt(String row) {
    if (SEE_NOTHING.contains(row)) {
      return "nothing";
    }
    return SEE_QUESTION.contains(row.replaceFirst(",.*", "")) ? "question" : "text";
  }

  private static void tasks(StringBuilder page, String first, String last) {
    page.append("| ").append(first).append(" |");
    for (HiddenFacts.Task task : HiddenFacts.Task.values()) {
      page.append(' ').append(task.name().toLowerCase(Locale.ROOT)).append(" |");
    }
    page.append(" kept bytes | ").append(last).append(" |\n| --- |");
    page.append(" --- |".repeat(HiddenFacts.Task.values().length + 2)).append('\n');
  }

  private static void line(StringBuilder page, String row, List<Cell> cells, OptionalDouble last) {
    if (cells.isEmpty()) {
      return;
    }
    var byTask = new TreeMap<HiddenFacts.Task, Cell>();
    cells.forEach(cell -> byTask.put(cell.task(), cell));
    page.append("| `").append(row).append("` |");
    for (HiddenFacts.Task task : HiddenFacts.Task.values()) {
      Cell cell = byTask.get(task);
      page.append(cell == null ? " |" : " " + cell.right() + "/" + cell.cases() + " |");
    }
    double bytes = cells.stream().mapToLong(Cell::keptBytes).average().orElse(0);
    page.append(String.format(Locale.ROOT, " %,.0f |", bytes))
        .append(number(" %.1f |", last))
        .append('\n');
  }
}
