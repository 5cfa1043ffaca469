package org.parallelcomp.it;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.PromptForm;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.text.TextTokenizer;

/**
 * Counts right answers of presets on seeded cases and prints them as a Markdown table.
 *
 * <pre>
 * RetrievalTable MODEL HELDOUT_FOLDER TOKENS CASES PLAN... [--tasks=passkey,two] [--lead] [--instruction=…] [--question-form=…]
 * PLAN: preset, or preset followed by " + kind=policy(…)" or " + kind.parameter=value"
 * </pre>
 */
final class RetrievalTable {
  private RetrievalTable() {}

  public static void main(String[] args) {
    List<String> plain = Arrays.stream(args).filter(arg -> !arg.startsWith("--")).toList();
    Map<String, String> options = options(args);
    Path model = Path.of(plain.get(0));
    Path heldout = Path.of(plain.get(1));
    int tokens = Integer.parseInt(plain.get(2));
    int count = Integer.parseInt(plain.get(3));
    List<RetrievalCases.Task> tasks =
        Arrays.stream(options.getOrDefault("tasks", "passkey,number,multi,fact,two").split(","))
            .map(task -> RetrievalCases.Task.valueOf(task.toUpperCase(Locale.ROOT)))
            .toList();
    try (Engine engine = Engine.open(EngineConfig.of(model));
        TextTokenizer tokenizer = new TextTokenizer(ModelFiles.open(model).tokenizer())) {
      var cases = new RetrievalCases(tokenizer, heldoutBooks(heldout));
      System.out.println("| plan | " + String.join(" | ", names(tasks)) + " | s per case |");
      System.out.println("| --- |" + " --- |".repeat(tasks.size() + 1));
      for (String planText : plain.subList(4, plain.size())) {
        printRow(engine, cases, tasks, tokens, count, planText, options);
      }
    }
  }

  /** Returns the held-out books that the cases are hidden in. */
  static List<String> heldoutBooks(Path folder) {
    return RetrievalCases.readBooks(
        folder.resolve("war-and-peace.txt.gz"),
        folder.resolve("moby-dick.txt.gz"),
        folder.resolve("the-brothers-karamazov.txt.gz"),
        folder.resolve("bleak-house.txt.gz"));
  }

  private static void printRow(
      Engine engine,
      RetrievalCases cases,
      List<RetrievalCases.Task> tasks,
      int tokens,
      int count,
      String planText,
      Map<String, String> options) {
    Plan plan = plan(engine, planText);
    Map<RetrievalCases.Task, Integer> right = new EnumMap<>(RetrievalCases.Task.class);
    var misses = new ArrayList<String>();
    long nanos = 0;
    for (RetrievalCases.Task task : tasks) {
      for (int index = 0; index < count; index++) {
        RetrievalCases.Case retrieval = cases.create(task, tokens, index, count);
        PromptForm modelForm = engine.model().form();
        var form =
            new PromptForm(
                unescaped(options.getOrDefault("instruction", modelForm.instruction())),
                unescaped(options.getOrDefault("question-form", modelForm.questionForm())),
                options.containsKey("lead") ? retrieval.lead() : modelForm.answerLead());
        long begin = System.nanoTime();
        GenerationResult result =
            engine.generate(
                GenerationRequest.ask(retrieval.text(), retrieval.question())
                    .withPlan(plan)
                    .withForm(form)
                    .withMaxTokens(24),
                TokenSink.NONE);
        nanos += System.nanoTime() - begin;
        boolean answered = retrieval.isAnsweredBy(result.answer());
        right.merge(task, answered ? 1 : 0, Integer::sum);
        if (!answered) {
          misses.add(
              task
                  + " seed "
                  + retrieval.seed()
                  + ": '"
                  + result.answer()
                  + "' for '"
                  + retrieval.answer()
                  + "'");
        }
      }
    }
    var row = new StringBuilder("| `" + planText + "` |");
    for (RetrievalCases.Task task : tasks) {
      row.append(" ").append(right.get(task)).append("/").append(count).append(" |");
    }
    double seconds = nanos / 1e9 / (tasks.size() * count);
    System.out.println(row.append(String.format(Locale.ROOT, " %.2f |", seconds)));
    misses.forEach(System.err::println);
  }

  /** "preset + kind=policy(…) + kind.parameter=value" to a plan. */
  static Plan plan(Engine engine, String text) {
    String[] parts = text.split(" \\+ ");
    Plan plan = engine.plan(parts[0]);
    for (String change : Arrays.asList(parts).subList(1, parts.length)) {
      String name = change.substring(0, change.indexOf('='));
      String value = change.substring(change.indexOf('=') + 1);
      int dot = name.indexOf('.');
      PolicyKind kind = kind(dot < 0 ? name : name.substring(0, dot));
      plan =
          dot < 0
              ? plan.with(kind, PolicySpec.parse(value))
              : plan.with(kind, name.substring(dot + 1), value);
    }
    return plan;
  }

  private static PolicyKind kind(String label) {
    return Arrays.stream(PolicyKind.values())
        .filter(kind -> kind.label().equals(label))
        .findFirst()
        .orElseThrow();
  }

  private static List<String> names(List<RetrievalCases.Task> tasks) {
    return tasks.stream().map(task -> task.name().toLowerCase(Locale.ROOT)).toList();
  }

  private static Map<String, String> options(String[] args) {
    var options = new java.util.HashMap<String, String>();
    for (String arg : args) {
      if (arg.startsWith("--")) {
        int equals = arg.indexOf('=');
        options.put(
            equals < 0 ? arg.substring(2) : arg.substring(2, equals),
            equals < 0 ? "" : arg.substring(equals + 1));
      }
    }
    return options;
  }

  private static String unescaped(String text) {
    return text.replace("\\n", "\n");
  }
}
