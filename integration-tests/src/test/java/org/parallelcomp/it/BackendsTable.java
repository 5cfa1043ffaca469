package org.parallelcomp.it;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import org.parallelcomp.engine.Citation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.GenerationResult;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.engine.load.ModelFiles;
import org.parallelcomp.engine.text.TextTokenizer;

/**
 * Asks two backends the same seeded retrieval questions and counts where they agree: in the
 * answer's tokens and in the kept chunks; and how many each answers rightly.
 *
 * <pre>
 * BackendsTable MODEL HELDOUT_FOLDER TOKENS CASES BACKEND BACKEND PLAN...
 * BACKEND: an id, perhaps with settings: cuda-ffm:cache=f32
 * </pre>
 */
final class BackendsTable {
  private BackendsTable() {}

  private record Reply(String text, List<Integer> tokens, List<Integer> chunks) {}

  public static void main(String[] args) {
    int tokens = Integer.parseInt(args[2]);
    int count = Integer.parseInt(args[3]);
    try (Engine first = open(args[0], args[4]);
        Engine second = open(args[0], args[5]);
        var tokenizer = new TextTokenizer(ModelFiles.open(Path.of(args[0])).tokenizer())) {
      var cases = new RetrievalCases(tokenizer, RetrievalTable.heldoutBooks(Path.of(args[1])));
      System.out.println(
          "| plan | questions | %s right | %s right | same answer | same chunks |"
              .formatted(args[4], args[5]));
      System.out.println("| --- | --- | --- | --- | --- | --- |");
      for (String plan : Arrays.asList(args).subList(6, args.length)) {
        var all = new ArrayList<RetrievalCases.Case>();
        for (RetrievalCases.Task task : RetrievalCases.Task.values()) {
          for (int index = 0; index < count; index++) {
            all.add(cases.create(task, tokens, index, count));
          }
        }
        int[] sums = new int[4];
        for (RetrievalCases.Case each : all) {
          Reply one = ask(first, each, plan);
          Reply other = ask(second, each, plan);
          sums[0] += each.isAnsweredBy(one.text) ? 1 : 0;
          sums[1] += each.isAnsweredBy(other.text) ? 1 : 0;
          sums[2] += one.tokens.equals(other.tokens) ? 1 : 0;
          sums[3] += one.chunks.equals(other.chunks) ? 1 : 0;
          if (!one.tokens.equals(other.tokens)) {
            System.err.printf("%s %s: '%s' '%s'%n", plan, each.task(), one.text, other.text);
          }
        }
        System.out.printf(
            Locale.ROOT,
            "| `%s` | %d | %d | %d | %d | %d |%n",
            plan,
            all.size(),
            sums[0],
            sums[1],
            sums[2],
            sums[3]);
      }
    }
  }

  private static Engine open(String model, String backend) {
    String[] parts = backend.split(":");
    var options = new HashMap<String, String>();
    for (int i = 1; i < parts.length; i++) {
      String[] option = parts[i].split("=", 2);
      options.put(option[0], option[1]);
    }
    return Engine.open(
        EngineConfig.of(Path.of(model)).withBackend(parts[0]).withBackendOptions(options));
  }

  private static Reply ask(Engine engine, RetrievalCases.Case each, String plan) {
    GenerationResult result =
        engine.generate(
            GenerationRequest.ask(each.text(), each.question())
                .withPlan(RetrievalTable.plan(engine, plan))
                .withMaxTokens(24),
            TokenSink.NONE);
    return new Reply(
        result.answer(),
        result.tokenIds(),
        result.citations().stream().map(Citation::chunk).sorted().toList());
  }
}
