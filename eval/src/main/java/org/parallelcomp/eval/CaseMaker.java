package org.parallelcomp.eval;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.eval.cases.EvalCase;
import org.parallelcomp.eval.cases.Filler;
import org.parallelcomp.eval.cases.HiddenFacts;
import org.parallelcomp.eval.cases.InfiniteBench;
import org.parallelcomp.eval.cases.JsonLines;
import org.parallelcomp.eval.cases.Ruler;

/** Makes the cases that units name. */
final class CaseMaker {
  private final EvalSpec spec;
  private final HiddenFacts hiddenFacts;
  private final InfiniteBench infiniteBench;
  private final Ruler ruler;
  private final List<EvalCase> data;

  /**
   * @param filler that needles are hidden in, where the task does not say in what
   */
  CaseMaker(Engine engine, EvalSpec spec, Filler filler) {
    this.spec = spec;
    Filler noise = Filler.noise(engine::tokenize);
    this.hiddenFacts = new HiddenFacts(filler);
    this.infiniteBench = new InfiniteBench(noise);
    this.ruler = new Ruler(filler, noise);
    this.data =
        spec.data() == null
            ? List.of()
            : JsonLines.read(Path.of(Objects.requireNonNull(spec.data()).path()), spec.scoring());
    for (String task : spec.tasks()) {
      requireKnown(task);
    }
  }

  /** Returns the names of all tasks. */
  static List<String> tasks() {
    return Stream.of(
            Arrays.stream(HiddenFacts.Task.values()).map(HiddenFacts.Task::label),
            Arrays.stream(InfiniteBench.Task.values()).map(InfiniteBench.Task::label),
            Arrays.stream(Ruler.Task.values()).map(Ruler.Task::label))
        .flatMap(names -> names)
        .toList();
  }

  private void requireKnown(String task) {
    List<String> known =
        spec.kind() == EvalSpec.Kind.NEEDLE
            ? Arrays.stream(HiddenFacts.Task.values()).map(HiddenFacts.Task::label).toList()
            : tasks();
    if (!known.contains(task)) {
      throw Names.unknown("task", task, known);
    }
  }

  /** Returns the questions of the data file. */
  List<EvalCase> data() {
    return data;
  }

  EvalCase create(Unit unit) {
    if (spec.kind() == EvalSpec.Kind.JSONL) {
      return data.get(unit.index());
    }
    int count = spec.samples();
    for (HiddenFacts.Task task : HiddenFacts.Task.values()) {
      if (task.label().equals(unit.task())) {
        double depth = Double.isNaN(unit.depth()) ? (unit.index() + 0.5) / count : unit.depth();
        return hiddenFacts.create(task, unit.tokens(), depth, unit.index(), spec.seed());
      }
    }
    for (InfiniteBench.Task task : InfiniteBench.Task.values()) {
      if (task.label().equals(unit.task())) {
        return infiniteBench.create(task, unit.tokens(), unit.index(), count, spec.seed());
      }
    }
    for (Ruler.Task task : Ruler.Task.values()) {
      if (task.label().equals(unit.task())) {
        return ruler.create(task, unit.tokens(), unit.index(), spec.seed());
      }
    }
    throw new IllegalStateException("task " + unit.task() + " was checked before");
  }

  /** Returns what is to be run, in order: all methods on a case before the next case. */
  List<Unit> units() {
    List<Unit> units = new ArrayList<>();
    if (spec.kind() == EvalSpec.Kind.JSONL) {
      for (int index = 0; index < data.size(); index++) {
        add(units, data.get(index).task(), 0, Double.NaN, index, Unit.Measure.ANSWER);
      }
      return units;
    }
    for (int tokens : spec.lengths()) {
      if (spec.kind() == EvalSpec.Kind.PPL) {
        for (int index = 0; index < spec.samples(); index++) {
          add(units, "ppl", tokens, Double.NaN, index, Unit.Measure.LIKELIHOOD);
        }
        continue;
      }
      for (String task : spec.tasks()) {
        if (spec.kind() == EvalSpec.Kind.NEEDLE) {
          for (int d = 0; d < spec.depths().size(); d++) {
            for (int sample = 0; sample < spec.samples(); sample++) {
              // The index tells cases apart and chooses the book.
              int index = d * spec.samples() + sample;
              add(units, task, tokens, spec.depths().get(d), index, Unit.Measure.ANSWER);
            }
          }
        } else {
          for (int index = 0; index < spec.samples(); index++) {
            add(units, task, tokens, Double.NaN, index, Unit.Measure.ANSWER);
          }
        }
      }
    }
    if (spec.kind() == EvalSpec.Kind.COMPARE && spec.fidelityTokens() > 0) {
      for (String task : spec.tasks()) {
        for (int index = 0; index < spec.samples(); index++) {
          add(units, task, spec.fidelityTokens(), Double.NaN, index, Unit.Measure.FIDELITY);
        }
      }
    }
    return units;
  }

  private void add(
      List<Unit> units, String task, int tokens, double depth, int index, Unit.Measure measure) {
    for (String method : spec.methods()) {
      units.add(new Unit(method, task, tokens, depth, index, measure));
    }
  }
}
