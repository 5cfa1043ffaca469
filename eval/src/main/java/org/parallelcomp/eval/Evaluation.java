package org.parallelcomp.eval;

import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
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

/**
 * Runs a specification, case by case, and goes on where it was stopped. Several engines share the
 * cases: each takes the next that nobody has. What comes out is the same, in the same order.
 */
public final class Evaluation {
  private final EvalSpec spec;
  private final Environment environment;
  private final Map<String, Method> methods = new LinkedHashMap<>();
  private final List<Unit> units;
  private final List<Runner> runners;

  /**
   * Prepares an evaluation. Everything that can be refused before the first case is refused here.
   *
   * @param engines one or more, all opened from the same configuration
   * @param environment of each of them
   * @throws InferenceException if a plan, a task or a file is not what it should be
   */
  public Evaluation(List<Engine> engines, EvalSpec spec, Environment environment) {
    this.spec = spec;
    this.environment = environment;
    Engine engine = engines.getFirst();
    for (String text : spec.methods()) {
      Method method = withBytes(Method.parse(text, engine::plan), engine);
      engine.check(method.plan());
      if (spec.contexts() == EvalSpec.Contexts.JOINT
          || spec.contexts() == EvalSpec.Contexts.UNSEEN) {
        engine.checkPrepared(method.plan(), spec.contexts() == EvalSpec.Contexts.JOINT);
      }
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
    this.runners =
        engines.stream()
            .map(each -> new Runner(each, spec, filler.with(each::tokenize), methods))
            .toList();
    this.units = runners.getFirst().units();
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
   * @param cancellation ends the evaluation; the cases under way are not counted
   * @return the result, or empty if it was cancelled before the last case
   */
  public Optional<EvalResult> run(CaseLog log, EvalListener listener, Cancellation cancellation) {
    var work = new Work(units, log, listener, runners.getFirst()::contextOf);
    if (runners.size() == 1) {
      work.share(runners.getFirst(), sink(listener), cancellation);
    } else {
      shareAmongAll(work, cancellation.child());
    }
    if (!work.isDone()) {
      return Optional.empty();
    }
    listener.onCase(units.size(), units.size(), work.doneNow(), work.elapsedNanos(), "done");
    List<CaseResult> cases = units.stream().map(work::result).toList();
    Map<String, EvalResult.PlanFacts> plans = new LinkedHashMap<>();
    methods.forEach((text, method) -> plans.put(text, EvalResult.PlanFacts.of(method)));
    return Optional.of(
        new EvalResult(EvalResult.FORMAT, spec, environment, plans, Cell.of(cases), cases));
  }

  /** A thread for each engine; what one of them throws ends the others and is thrown here. */
  private void shareAmongAll(Work work, Cancellation cancellation) {
    try (ExecutorService threads = Executors.newFixedThreadPool(runners.size())) {
      List<Future<?>> shares =
          runners.stream()
              .<Future<?>>map(
                  runner ->
                      threads.submit(
                          () -> {
                            try {
                              work.share(runner, TokenSink.NONE, cancellation);
                            } catch (Throwable e) {
                              cancellation.cancel();
                              throw e;
                            }
                          }))
              .toList();
      for (Future<?> share : shares) {
        share.get();
      }
    } catch (ExecutionException e) {
      switch (e.getCause()) {
        case RuntimeException thrown -> throw thrown;
        case Error thrown -> throw thrown;
        case Throwable thrown ->
            throw new IllegalStateException("nothing checked is thrown", thrown);
      }
    } catch (InterruptedException e) {
      cancellation.cancel();
      Thread.currentThread().interrupt();
    }
  }

  /** The cases that are still to be run, shared by all runners. */
  private static final class Work {
    private final List<Unit> units;
    private final CaseLog log;
    private final EvalListener listener;
    private final Map<String, CaseResult> done = new HashMap<>();
    private final Deque<List<Unit>> groups = new ArrayDeque<>();
    private final int doneBefore;
    private final long begin = System.nanoTime();

    /**
     * @param contextOf what units have in common that are run one after the other, or null
     */
    Work(
        List<Unit> units,
        CaseLog log,
        EvalListener listener,
        Function<Unit, @Nullable Object> contextOf) {
      this.units = units;
      this.log = log;
      this.listener = listener;
      log.done().forEach(result -> done.put(result.key(), result));
      this.doneBefore = done.size();
      Map<Object, List<Unit>> ofContexts = new HashMap<>();
      for (Unit unit : units) {
        if (done.containsKey(unit.key())) {
          continue;
        }
        Object context = contextOf.apply(unit);
        if (context != null) {
          ofContexts
              .computeIfAbsent(
                  context,
                  first -> {
                    groups.add(new ArrayList<>());
                    return groups.getLast();
                  })
              .add(unit);
          continue;
        }
        // All methods are compared with one answer of full attention: whoever has it goes on.
        boolean together =
            unit.measure() == Unit.Measure.FIDELITY
                && !groups.isEmpty()
                && groups.getLast().getFirst().sameCase(unit);
        if (!together) {
          groups.add(new ArrayList<>());
        }
        groups.getLast().add(unit);
      }
    }

    /** Runs cases until there are none left. */
    void share(Runner runner, TokenSink sink, Cancellation cancellation) {
      for (List<Unit> group = next(); group != null; group = next()) {
        try {
          for (Unit unit : group) {
            if (cancellation.isCancelled()) {
              return;
            }
            begins(unit);
            CaseResult result = runner.run(unit, sink, cancellation);
            if (result == null) {
              return;
            }
            ended(result);
          }
        } finally {
          runner.release();
        }
      }
    }

    private synchronized @Nullable List<Unit> next() {
      return groups.poll();
    }

    private synchronized void begins(Unit unit) {
      listener.onCase(done.size(), units.size(), doneNow(), elapsedNanos(), words(unit));
    }

    private synchronized void ended(CaseResult result) {
      log.add(result);
      done.put(result.key(), result);
    }

    synchronized boolean isDone() {
      return units.stream().allMatch(unit -> done.containsKey(unit.key()));
    }

    synchronized CaseResult result(Unit unit) {
      return Objects.requireNonNull(done.get(unit.key()), unit.key());
    }

    synchronized int doneNow() {
      return done.size() - doneBefore;
    }

    long elapsedNanos() {
      return System.nanoTime() - begin;
    }
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
