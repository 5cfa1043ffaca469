package org.parallelcomp.eval;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.Plan;

/**
 * What an evaluation found, and everything that repeats it.
 *
 * @param format names the form of the file
 * @param spec what was evaluated
 * @param environment by what
 * @param plans every method as it was carried out, by the text that names it
 * @param cells means over the cases that belong together
 * @param cases every case
 */
public record EvalResult(
    String format,
    EvalSpec spec,
    Environment environment,
    Map<String, PlanFacts> plans,
    List<Cell> cells,
    List<CaseResult> cases) {
  /** The form of the files that this version writes and reads. */
  public static final String FORMAT = "parallelcomp-eval/1";

  public EvalResult {
    cells = List.copyOf(cells);
    cases = List.copyOf(cases);
  }

  /**
   * A plan as it was carried out.
   *
   * @param preset that it comes from
   * @param prefill how chunks are prefilled
   * @param bindToWindow whether chunks must fit the trained window
   * @param policies a policy for every kind, with every parameter that is not its default
   * @param rope how positions past the trained window are scaled
   * @param cutTokens tokens of the text that are left: 0 for all, -1 for what fits the window
   */
  public record PlanFacts(
      String preset,
      String prefill,
      boolean bindToWindow,
      Map<String, String> policies,
      String rope,
      int cutTokens) {
    static PlanFacts of(Method method) {
      Plan plan = method.plan();
      Map<String, String> policies = new LinkedHashMap<>();
      plan.policies().forEach((kind, spec) -> policies.put(kind.label(), spec.toString()));
      return new PlanFacts(
          plan.name(),
          plan.prefill().name(),
          plan.bindToWindow(),
          policies,
          method.ropeScaling().method().name(),
          method.cutTokens());
    }
  }

  /**
   * Reads a file.
   *
   * @throws InferenceException if it is none of this form
   */
  public static EvalResult read(Path file) {
    try {
      EvalResult result = EvalJson.read(Files.readString(file), EvalResult.class, "'" + file + "'");
      if (!FORMAT.equals(result.format)) {
        throw new InferenceException(
            ErrorCode.CORRUPT_FILE,
            "'" + file + "' is of the form '" + result.format + "', not '" + FORMAT + "'.");
      }
      return result;
    } catch (IOException e) {
      throw CaseLog.failure(file, e);
    }
  }

  /** Returns this result without times, which a machine that does other work makes worthless. */
  public EvalResult withoutTimes() {
    List<CaseResult> timeless = cases.stream().map(CaseResult::withoutTimes).toList();
    return new EvalResult(format, spec, environment, plans, Cell.of(timeless), timeless);
  }

  /** Writes a file. */
  public void write(Path file) {
    try {
      Files.writeString(file, EvalJson.pretty(this));
    } catch (IOException e) {
      throw CaseLog.failure(file, e);
    }
  }
}
