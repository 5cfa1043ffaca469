package org.parallelcomp.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.eval.plot.HeatMap;
import org.parallelcomp.eval.plot.LineChart;

/** The files of a result: JSON, CSV, a Markdown table, and pictures. */
public final class ResultFiles {
  private ResultFiles() {}

  /**
   * Writes a result, its table and its pictures.
   *
   * @param folder is made if it does not exist
   * @param name of the files, without the ending
   * @return the files, the JSON file first
   */
  public static List<Path> write(EvalResult result, Path folder, String name) {
    List<Path> written = writeWithoutPictures(result, folder, name);
    written.addAll(pictures(result, folder, name));
    return written;
  }

  /** Writes a result and its table, as a machine without fonts can. */
  public static List<Path> writeWithoutPictures(EvalResult result, Path folder, String name) {
    List<Path> written = new ArrayList<>();
    try {
      Files.createDirectories(folder);
      Path json = folder.resolve(name + ".json");
      result.write(json);
      written.add(json);
      written.add(Files.writeString(folder.resolve(name + ".csv"), csv(result)));
      written.add(Files.writeString(folder.resolve(name + ".md"), markdown(result)));
    } catch (IOException e) {
      throw CaseLog.failure(folder, e);
    }
    return written;
  }

  // ---- tables ----

  /** Returns the cells as comma-separated values (RFC 4180). */
  static String csv(EvalResult result) {
    StringBuilder text =
        new StringBuilder(
            "method,task,tokens,depth,cases,errors,score,perplexity,divergence,kept_bytes,"
                + "full_bytes,prefill_seconds,decode_seconds_per_token\n");
    for (Cell cell : result.cells()) {
      List<String> values =
          List.of(
              quoted(cell.method()),
              quoted(cell.task()),
              Integer.toString(cell.tokens()),
              number(cell.depth()),
              Integer.toString(cell.cases()),
              Integer.toString(cell.errors()),
              number(cell.score()),
              number(cell.perplexity()),
              number(cell.divergence()),
              Long.toString(cell.keptBytes()),
              Long.toString(cell.fullBytes()),
              number(cell.prefillSeconds()),
              number(cell.decodeSecondsPerToken()));
      text.append(String.join(",", values)).append("\n");
    }
    return text.toString();
  }

  private static String quoted(String text) {
    return text.matches("[^\",\n]*") ? text : "\"" + text.replace("\"", "\"\"") + "\"";
  }

  private static String number(@Nullable Double number) {
    return number == null ? "" : number.toString();
  }

  /** Returns a table for people, as wide as the kind of evaluation wants it. */
  public static String markdown(EvalResult result) {
    String table =
        switch (result.spec().kind()) {
          case NEEDLE -> needleTable(result);
          case RETRIEVAL -> taskTable(result);
          case JSONL -> taskTable(result) + contexts(result);
          case PPL -> grid(result, "", cell -> "", cell -> decimals(cell.perplexity(), 2));
          case COMPARE -> compareTable(result);
          case BIAS -> taskTable(result) + "\n" + BiasTable.of(result);
        };
    return table + errors(result);
  }

  /** How the contexts of a data file were read, method by method. */
  private static String contexts(EvalResult result) {
    StringBuilder text = new StringBuilder();
    for (String method : result.spec().methods()) {
      Map<String, Long> ways = new LinkedHashMap<>();
      for (CaseResult one : result.cases()) {
        if (one.method().equals(method) && one.context() != null) {
          ways.merge(one.context(), 1L, Long::sum);
        }
      }
      ways.forEach(
          (way, count) ->
              text.append("\nContexts of `")
                  .append(method)
                  .append("`: ")
                  .append(
                      switch (way) {
                        case "shared" ->
                            "read once for all their questions, at which it does not look";
                        case "joint" -> "read once, by all their questions together";
                        case "unseen" -> "read once, before any question";
                        default -> "read anew for each question";
                      })
                  .append(" (")
                  .append(count)
                  .append(" questions).\n"));
    }
    return text.toString();
  }

  private static String needleTable(EvalResult result) {
    return grid(result, "depth", cell -> depth(cell.depth()), ResultFiles::share);
  }

  /** At one length the tasks are the columns. */
  private static String taskTable(EvalResult result) {
    List<Cell> cells = result.cells();
    List<String> tasks = cells.stream().map(Cell::task).distinct().toList();
    if (cells.stream().map(Cell::tokens).distinct().count() > 1 || tasks.size() == 1) {
      return grid(result, "task", Cell::task, ResultFiles::share);
    }
    StringBuilder text =
        new StringBuilder("| method | ").append(String.join(" | ", tasks)).append(" |\n");
    text.append("|").append(" --- |".repeat(tasks.size() + 1)).append("\n");
    for (String method : result.spec().methods()) {
      text.append("| `").append(method).append("` |");
      for (String task : tasks) {
        cells.stream()
            .filter(cell -> cell.method().equals(method) && cell.task().equals(task))
            .forEach(cell -> text.append(" ").append(share(cell)).append(" |"));
      }
      text.append("\n");
    }
    return text.toString();
  }

  private interface Words {
    String of(Cell cell);
  }

  /** A row for each method and row name, a column for each length. */
  private static String grid(EvalResult result, String rowTitle, Words rowName, Words value) {
    List<Integer> lengths = result.cells().stream().map(Cell::tokens).distinct().sorted().toList();
    boolean named = !rowTitle.isEmpty();
    StringBuilder text = new StringBuilder("| method |" + (named ? " " + rowTitle + " |" : ""));
    lengths.forEach(length -> text.append(" ").append(lengthName(length)).append(" |"));
    text.append("\n|").append(" --- |".repeat(lengths.size() + (named ? 2 : 1))).append("\n");
    Map<String, Map<String, Map<Integer, Cell>>> rows = new LinkedHashMap<>();
    for (Cell cell : result.cells()) {
      rows.computeIfAbsent(cell.method(), m -> new LinkedHashMap<>())
          .computeIfAbsent(rowName.of(cell), r -> new TreeMap<>())
          .put(cell.tokens(), cell);
    }
    rows.forEach(
        (method, byName) ->
            byName.forEach(
                (row, cells) -> {
                  text.append("| `").append(method).append("` |");
                  text.append(named ? " " + row + " |" : "");
                  for (int length : lengths) {
                    Cell cell = cells.get(length);
                    text.append(" ").append(cell == null ? "" : value.of(cell)).append(" |");
                  }
                  text.append("\n");
                }));
    return text.toString();
  }

  private static String compareTable(EvalResult result) {
    StringBuilder text =
        new StringBuilder(
            "| method | length | score | KV kept | of | prefill | decode a token | divergence |\n"
                + "| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for (String method : result.spec().methods()) {
      List<Cell> ofMethod =
          result.cells().stream().filter(cell -> cell.method().equals(method)).toList();
      String divergence = mean(ofMethod, Cell::divergence, 1, "%.4f");
      for (int length : result.spec().lengths()) {
        List<Cell> cells =
            result.cells().stream()
                .filter(c -> c.method().equals(method) && c.tokens() == length)
                .filter(c -> !c.task().equals("fidelity"))
                .toList();
        boolean whole = cells.stream().allMatch(cell -> cell.score() != null);
        double score =
            whole
                ? cells.stream()
                    .mapToDouble(c -> Objects.requireNonNull(c.score()))
                    .average()
                    .orElse(0)
                : 0;
        text.append(
            String.format(
                Locale.ROOT,
                "| `%s` | %s | %s | %,d | %,d | %s | %s | %s |%n",
                method,
                lengthName(length),
                whole ? String.format(Locale.ROOT, "%.3f", score) : "error",
                (long) cells.stream().mapToLong(Cell::keptBytes).average().orElse(0),
                (long) cells.stream().mapToLong(Cell::fullBytes).average().orElse(0),
                mean(cells, Cell::prefillSeconds, 1, "%.2f s"),
                mean(cells, Cell::decodeSecondsPerToken, 1e3, "%.1f ms"),
                divergence));
      }
    }
    return text.toString().replace(System.lineSeparator(), "\n");
  }

  private static String mean(
      List<Cell> cells, Function<Cell, @Nullable Double> number, double unit, String form) {
    List<Double> all = cells.stream().map(number).filter(Objects::nonNull).toList();
    return all.isEmpty()
        ? ""
        : String.format(
            Locale.ROOT,
            form,
            unit * all.stream().mapToDouble(Double::doubleValue).average().orElseThrow());
  }

  /** Errors are no scores: they stand below the table, each once. */
  private static String errors(EvalResult result) {
    Map<String, Integer> counts = new TreeMap<>();
    for (CaseResult one : result.cases()) {
      if (one.error() != null) {
        counts.merge("`" + one.method() + "`: " + one.error(), 1, Integer::sum);
      }
    }
    StringBuilder text = new StringBuilder();
    counts.forEach(
        (error, count) ->
            text.append("\nError in ").append(count).append(" cases of ").append(error));
    return text.isEmpty() ? "" : text.append("\n").toString();
  }

  private static String share(Cell cell) {
    return cell.score() == null ? "error" : decimals(cell.score(), 2);
  }

  private static String decimals(@Nullable Double number, int digits) {
    return number == null ? "error" : String.format(Locale.ROOT, "%,." + digits + "f", number);
  }

  private static String depth(@Nullable Double depth) {
    return depth == null ? "" : String.format(Locale.ROOT, "%.0f %%", 100 * depth);
  }

  private static String lengthName(int tokens) {
    return tokens == 0
        ? "score"
        : tokens % 1024 == 0 ? tokens / 1024 + "K" : String.format(Locale.ROOT, "%,d", tokens);
  }

  // ---- pictures ----

  private static List<Path> pictures(EvalResult result, Path folder, String name) {
    return switch (result.spec().kind()) {
      case NEEDLE -> heatMaps(result, folder, name, "depth", cell -> depth(cell.depth()));
      case RETRIEVAL -> heatMaps(result, folder, name, "task", Cell::task);
      case PPL -> perplexities(result, folder, name);
      case COMPARE, BIAS, JSONL -> List.of();
    };
  }

  private static List<Path> heatMaps(
      EvalResult result, Path folder, String name, String rowTitle, Words rowName) {
    List<Path> written = new ArrayList<>();
    List<Integer> lengths = result.cells().stream().map(Cell::tokens).distinct().sorted().toList();
    List<String> rows = result.cells().stream().map(rowName::of).distinct().toList();
    List<String> methods = result.spec().methods();
    for (int m = 0; m < methods.size(); m++) {
      String method = methods.get(m);
      List<List<@Nullable Double>> scores = new ArrayList<>();
      for (String row : rows) {
        List<@Nullable Double> line = new ArrayList<>();
        for (int length : lengths) {
          List<Cell> cells =
              result.cells().stream()
                  .filter(c -> c.method().equals(method) && c.tokens() == length)
                  .filter(c -> rowName.of(c).equals(row))
                  .toList();
          boolean whole = !cells.isEmpty() && cells.stream().allMatch(cell -> cell.score() != null);
          line.add(
              whole
                  ? cells.stream()
                      .mapToDouble(c -> Objects.requireNonNull(c.score()))
                      .average()
                      .orElseThrow()
                  : null);
        }
        scores.add(line);
      }
      if (scores.stream().flatMap(List::stream).allMatch(Objects::isNull)) {
        continue;
      }
      String file = methods.size() == 1 ? name : name + "-" + (m + 1) + "-" + slug(method);
      HeatMap.of(
              method + ", " + result.environment().modelName(),
              "tokens",
              lengths.stream().map(ResultFiles::lengthName).toList(),
              rowTitle,
              rows,
              scores)
          .write(folder, file);
      written.add(folder.resolve(file + ".png"));
      written.add(folder.resolve(file + ".svg"));
    }
    return written;
  }

  private static String slug(String method) {
    String slug = method.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]+", "-");
    return slug.substring(0, Math.min(40, slug.length())).replaceAll("^-|-$", "");
  }

  private static List<Path> perplexities(EvalResult result, Path folder, String name) {
    Map<String, SortedMap<Integer, Double>> lines = new LinkedHashMap<>();
    for (Cell cell : result.cells()) {
      if (cell.perplexity() != null) {
        lines
            .computeIfAbsent(cell.method(), m -> new TreeMap<>())
            .put(cell.tokens(), cell.perplexity());
      }
    }
    if (lines.isEmpty()) {
      return List.of();
    }
    LineChart.of(result.environment().modelName(), "perplexity", lines).write(folder, name);
    return List.of(folder.resolve(name + ".png"), folder.resolve(name + ".svg"));
  }
}
