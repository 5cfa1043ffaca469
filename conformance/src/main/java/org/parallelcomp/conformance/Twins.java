package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Consumer;
import java.util.function.Function;
import org.junit.jupiter.api.function.Executable;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/** A backend and the oracle, on which the same programs run with the same data. */
final class Twins {
  private static final LongAdder CASES = new LongAdder();

  private final Backend backend;
  private final Backend oracle = new ReferenceBackend();
  private final Path files;

  Twins(Backend backend) throws IOException {
    this.backend = backend;
    this.files = Files.createTempDirectory("conformance");
  }

  /** Returns how many seeded cases have run so far in this process. */
  static long cases() {
    return CASES.sum();
  }

  Backend backend() {
    return backend;
  }

  void close() throws IOException {
    backend.close();
    oracle.close();
    try (var all = Files.list(files)) {
      for (Path file : all.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(files);
  }

  private static long seed(String name, int round) {
    CASES.increment();
    return (KitSettings.SEED * 31 + round) * 1_000_003 + name.hashCode();
  }

  /**
   * Runs a program on both and compares all tensors that it returns.
   *
   * @param name the case, printed on failure
   * @param bound how far each result may be from the oracle's
   */
  void compare(String name, Bound bound, Function<Bench, List<Tensor>> program) {
    for (int round = 0; round < KitSettings.ROUNDS; round++) {
      compare(name + ", round " + round, bound, program, seed(name, round));
    }
  }

  private void compare(
      String message, Bound bound, Function<Bench, List<Tensor>> program, long seed) {
    try (Bench expected = new Bench(oracle, files, seed);
        Bench actual = new Bench(backend, files, seed)) {
      List<Tensor> wanted = program.apply(expected);
      List<Tensor> got = program.apply(actual);
      assertEquals(wanted.size(), got.size(), message);
      assertTrue(
          bound == Bound.EXACT || wanted.stream().anyMatch(this::hasSignal),
          message + ": the case shows nothing, all its results are zero");
      for (int i = 0; i < wanted.size(); i++) {
        compare(message + ", result " + i, bound, wanted.get(i), got.get(i));
      }
      actual.assertGuards(message);
    }
  }

  /** Compares where a call is supported; where it is not, the program must be refused. */
  void compareOrRefuse(
      OpCall call, String name, Bound bound, Function<Bench, List<Tensor>> program) {
    if (backend.supports(call)) {
      compare(name, bound, program);
      return;
    }
    try (Bench bench = new Bench(backend, files, seed(name, 0))) {
      assertRefused(
          ErrorCode.UNSUPPORTED_OPERATION,
          name + ", which the backend says it does not support",
          () -> program.apply(bench));
    }
  }

  /** Runs on the backend alone. */
  void run(String name, Consumer<Bench> program) {
    for (int round = 0; round < KitSettings.ROUNDS; round++) {
      try (Bench bench = new Bench(backend, files, seed(name, round))) {
        program.accept(bench);
        bench.assertGuards(name);
      }
    }
  }

  /** Runs on the backend alone where a call is supported; where not, it must be refused. */
  void runOrRefuse(OpCall call, String name, Consumer<Bench> program) {
    if (backend.supports(call)) {
      run(name, program);
      return;
    }
    try (Bench bench = new Bench(backend, files, seed(name, 0))) {
      assertRefused(
          ErrorCode.UNSUPPORTED_OPERATION,
          name + ", which the backend says it does not support",
          () -> program.accept(bench));
    }
  }

  /** Asserts that a call is refused with a code and a message. */
  static void assertRefused(ErrorCode code, String name, Executable call) {
    InferenceException refusal = refusal(name, call);
    assertEquals(code, refusal.code(), name + ": " + refusal.getMessage());
  }

  /** Asserts that a call whose arguments contradict one another is refused, by either code. */
  static void assertMismatchRefused(String name, Executable call) {
    InferenceException refusal = refusal(name, call);
    assertTrue(
        refusal.code() == ErrorCode.INTERNAL || refusal.code() == ErrorCode.INVALID_ARGUMENT,
        name + " is refused with " + refusal.code() + ": " + refusal.getMessage());
  }

  private static InferenceException refusal(String name, Executable call) {
    try {
      call.execute();
    } catch (InferenceException e) {
      assertFalse(e.getMessage().isBlank(), name + " is refused without a word");
      return e;
    } catch (Throwable e) {
      // An OutOfMemoryError too, for which JUnit would end the whole run.
      throw new AssertionError(name + " is not refused, it ends with " + e, e);
    }
    throw new AssertionError(name + " is not refused");
  }

  private void compare(String message, Bound bound, Tensor wanted, Tensor got) {
    assertEquals(wanted.dtype(), got.dtype(), message);
    assertEquals(wanted.shape(), got.shape(), message);
    if (wanted.dtype() == DType.I32) {
      assertArrayEquals(
          oracle.host().copyToHostInts(wanted), backend.host().copyToHostInts(got), message);
      return;
    }
    int rowLength = wanted.shape().rank() == 0 ? 1 : wanted.shape().intDim(-1);
    assertClose(
        message,
        bound,
        rowLength,
        oracle.host().copyToHostFloats(wanted),
        backend.host().copyToHostFloats(got));
  }

  private boolean hasSignal(Tensor wanted) {
    if (wanted.dtype() == DType.I32) {
      return false;
    }
    for (float number : oracle.host().copyToHostFloats(wanted)) {
      if (number != 0) {
        return true;
      }
    }
    return false;
  }

  private static void assertClose(
      String message, Bound bound, int rowLength, float[] wanted, float[] got) {
    double error = 0;
    double size = 0;
    for (int i = 0; i < wanted.length; i++) {
      if (!Float.isFinite(wanted[i]) || !Float.isFinite(got[i])) {
        assertEquals(wanted[i], got[i], message + ", element " + i);
        continue;
      }
      double difference = (double) got[i] - wanted[i];
      error += difference * difference;
      size += (double) wanted[i] * wanted[i];
    }
    double relative = error == 0 ? 0 : error / size;
    assertTrue(
        relative <= bound.squaredError(),
        message + ": squared relative error " + relative + " > " + bound.squaredError());
    assertEachClose(message, bound, rowLength, size / wanted.length, wanted, got);
  }

  private static void assertEachClose(
      String message, Bound bound, int rowLength, double meanSquare, float[] wanted, float[] got) {
    for (int row = 0; row < wanted.length; row += rowLength) {
      double rowSquares = 0;
      for (int i = row; i < row + rowLength; i++) {
        rowSquares += Float.isFinite(wanted[i]) ? (double) wanted[i] * wanted[i] : 0;
      }
      double size = Math.sqrt(Math.max(meanSquare, rowSquares / rowLength));
      double most = Bound.SPREAD * Math.sqrt(bound.squaredError()) * size;
      for (int i = row; i < row + rowLength; i++) {
        double difference = Math.abs((double) got[i] - wanted[i]);
        // Where both are infinite the difference is NaN, and they have been compared.
        if (difference > most) {
          fail(message + ", element " + i + ": " + got[i] + " is not " + wanted[i]);
        }
      }
    }
  }
}
