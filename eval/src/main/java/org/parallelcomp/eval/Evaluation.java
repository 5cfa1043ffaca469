package org.parallelcomp.eval;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;
import org.parallelcomp.api.policy.PolicyKind;
import org.parallelcomp.api.policy.PolicySpec;
import org.parallelcomp.engine.Cancellation;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.Progress;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.eval.cases.Filler;

/** Runs a specification on an engine, case by case, and goes on where it was stopped. */
public final class Evaluation {
  private final EvalSpec spec;
  private final Environment environment;
  private final Map<String, Method> methods = new LinkedHashMap<>();
  private final List<Unit> units;
  private final Runner runner;

  /**
   * Prepares an evaluation. Everything that can be refused before the first case is refused here.
   *
   * @throws InferenceException if a plan, a task or a file is not what it should be
   */
  public Evaluation(Engine engine, EvalSpec spec, Environment environment) {
    this.spec = spec;
    this.environment = environment;
    for (String text : spec.methods()) {
      Method method = withBytes(Method.parse(text, engine::plan), engine);
      engine.check(method.plan());
      methods.put(text, method);
    }
    List<String> books = new ArrayList<>();
    for (FileFact file : spec.filler()) {
      requireUnchanged(file);
      books.add(Engine.readText(Path.of(file.path())));
    }
    if (spec.data() != null) {
      requireUnchanged(spec.data());
    }
    Filler filler =
        books.isEmpty() ? Filler.noise(engine::tokenize) : Filler.books(engine::tokenize, books);
    var maker = new CaseMaker(engine, spec, filler);
    this.units = maker.units();
    this.runner = new Runner(engine, spec, filler, methods, maker);
  }

  /** Returns the names of all tasks. */
  public static List<String> tasks() {
    return CaseMaker.tasks();
  }

  private static void requireUnchanged(FileFact file) {
    if (!FileFact.of(Path.of(file.path())).equals(file)) {
      throw new InferenceException(
          ErrorCode.INVALID_TEXT,
          "'" + file.path() + "' is not the file that it was: its SHA-256 differs.");
    }
  }

  /** Gives a method as many bytes as the specification allows all of them, if it evicts tokens. */
  private Method withBytes(Method method, Engine engine) {
    if (spec.kvBytes() == 0) {
      return method;
    }
    if (method.cutTokens() != Method.UNCUT) {
      return method.withCut(
          Math.toIntExact(Math.max(2, spec.kvBytes() / engine.model().cacheBytesPerToken())));
    }
    Plan plan = method.plan();
    PolicySpec budget = plan.policy(PolicyKind.BUDGET);
    boolean chooses = !plan.policy(PolicyKind.CHUNK_EVICTION).name().equals("all");
    if (budget.name().equals("everything") && !chooses) {
      return method;
    }
    PolicySpec bytes = PolicySpec.of("bytes").with("keep", spec.kvBytes());
    plan =
        plan.with(
            PolicyKind.BUDGET,
            budget.name().equals("pyramid") ? budget.with("budget", bytes) : bytes);
    if (plan.policy(PolicyKind.MERGE).name().equals("reread")) {
      // What is read once more is cut then.
      plan = plan.with(PolicyKind.SCHEDULE, PolicySpec.of("merged"));
      if (plan.policy(PolicyKind.TOKEN_SCORER).name().equals("none")) {
        plan =
            plan.with(
                PolicyKind.TOKEN_SCORER,
                engine.plan("parallelcomp").policy(PolicyKind.TOKEN_SCORER));
      }
    }
    return method.withPlan(plan);
  }

  /** Returns how many cases there are, each method counted. */
  public int cases() {
    return units.size();
  }

  /**
   * Runs what is not done yet.
   *
   * @param log holds what is done, and takes what is done now
   * @param cancellation ends the evaluation; the case under way is not counted
   * @return the result, or empty if it was cancelled before the last case
   */
  public Optional<EvalResult> run(CaseLog log, EvalListener listener, Cancellation cancellation) {
    Map<String, CaseResult> done =
        log.done().stream()
            .collect(
                Collectors.toMap(
                    CaseResult::key, result -> result, (a, b) -> b, LinkedHashMap::new));
    int doneBefore = done.size();
    long begin = System.nanoTime();
    for (Unit unit : units) {
      if (done.containsKey(unit.key())) {
        continue;
      }
      if (cancellation.isCancelled()) {
        return Optional.empty();
      }
      listener.onCase(
          done.size(),
          units.size(),
          done.size() - doneBefore,
          System.nanoTime() - begin,
          words(unit));
      CaseResult result = runner.run(unit, sink(listener), cancellation);
      if (result == null) {
        return Optional.empty();
      }
      log.add(result);
      done.put(unit.key(), result);
    }
    listener.onCase(
        units.size(), units.size(), done.size() - doneBefore, System.nanoTime() - begin, "done");
    List<CaseResult> cases = units.stream().map(unit -> done.get(unit.key())).toList();
    Map<String, EvalResult.PlanFacts> plans = new LinkedHashMap<>();
    methods.forEach((text, method) -> plans.put(text, EvalResult.PlanFacts.of(method)));
    return Optional.of(
        new EvalResult(EvalResult.FORMAT, spec, environment, plans, Cell.of(cases), cases));
  }

  private static String words(Unit unit) {
    return (unit.tokens() == 0 ? "" : unit.tokens() + " tokens, ")
        + unit.task()
        + ", "
        + unit.method();
  }

  private static TokenSink sink(EvalListener listener) {
    return new TokenSink() {
      @Override
      public void onText(String text) {}

      @Override
      public void onProgress(Progress progress) {
        listener.onProgress(progress);
      }
    };
  }
}
