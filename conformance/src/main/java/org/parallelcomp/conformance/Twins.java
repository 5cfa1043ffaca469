package org.parallelcomp.conformance;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.OpCall;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.tensor.DType;
import org.parallelcomp.api.tensor.Tensor;
import org.parallelcomp.conformance.reference.ReferenceBackend;

/** A backend and the oracle, on which the same programs run with the same data. */
final class Twins {
  /** Squared relative error of an operation that only moves or selects numbers. */
  static final double EXACT = 0;

  /** Of one that computes in single precision: 1e-5 of the result's size. */
  static final double SINGLE = 1e-10;

  /** Of attention, whose exponents magnify the error of the products. */
  static final double ATTENTION = 1e-8;

  /** Where the cache or the weights are 16 bits wide and may be multiplied as such. */
  static final double HALF = 1e-6;

  /** Where weights are block-quantised and activations may be quantised to 8 bits for them. */
  static final double BLOCK = 5e-4;

  private final Backend backend;
  private final Backend oracle = new ReferenceBackend();
  private final Path files;

  Twins(Backend backend) throws IOException {
    this.backend = backend;
    this.files = Files.createTempDirectory("conformance");
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

  /**
   * Runs a program on both and compares all tensors that it returns.
   *
   * @param name the case, printed on failure
   * @param maxError greatest {@code sum((a - b)²) / sum(b²)} of each result
   */
  void compare(String name, double maxError, Function<Bench, List<Tensor>> program) {
    long seed = name.hashCode();
    String message = name + " (seed " + seed + ")";
    try (Bench expected = new Bench(oracle, files, seed);
        Bench actual = new Bench(backend, files, seed)) {
      List<Tensor> wanted = program.apply(expected);
      List<Tensor> got = program.apply(actual);
      assertEquals(wanted.size(), got.size(), message);
      assertTrue(
          maxError == EXACT || wanted.stream().anyMatch(this::hasSignal),
          message + ": the case shows nothing, all its results are zero");
      for (int i = 0; i < wanted.size(); i++) {
        compare(message + ", result " + i, maxError, wanted.get(i), got.get(i));
      }
      actual.assertGuards(message);
    }
  }

  /** Compares where a call is supported; where it is not, the program must be refused. */
  void compareOrRefuse(
      OpCall call, String name, double maxError, Function<Bench, List<Tensor>> program) {
    if (backend.supports(call)) {
      compare(name, maxError, program);
      return;
    }
    try (Bench bench = new Bench(backend, files, name.hashCode())) {
      InferenceException refused =
          assertThrows(InferenceException.class, () -> program.apply(bench), name + " unsupported");
      assertEquals(ErrorCode.UNSUPPORTED_OPERATION, refused.code(), name);
    }
  }

  /** Runs on the backend alone. */
  void run(String name, Consumer<Bench> program) {
    try (Bench bench = new Bench(backend, files, name.hashCode())) {
      program.accept(bench);
    }
  }

  private void compare(String message, double maxError, Tensor wanted, Tensor got) {
    assertEquals(wanted.dtype(), got.dtype(), message);
    assertEquals(wanted.shape(), got.shape(), message);
    if (wanted.dtype() == DType.I32) {
      assertArrayEquals(
          oracle.host().copyToHostInts(wanted), backend.host().copyToHostInts(got), message);
      return;
    }
    assertClose(
        message,
        maxError,
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

  private static void assertClose(String message, double maxError, float[] wanted, float[] got) {
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
        relative <= maxError, message + ": squared relative error " + relative + " > " + maxError);
  }
}
