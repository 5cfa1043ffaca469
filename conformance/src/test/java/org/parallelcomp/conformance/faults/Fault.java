package org.parallelcomp.conformance.faults;

import java.util.List;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.parallelcomp.api.backend.BackendProvider;

/**
 * One thing that a backend may get wrong, and the rule that must find it.
 *
 * @param what what the broken backend does, as a sentence without a subject
 * @param rule the rule that the kit must report
 * @param provider the reference backend with just this broken
 */
public record Fault(String what, String rule, Supplier<BackendProvider> provider) {
  /** Returns every fault, family by family. */
  public static List<Fault> all() {
    return Stream.of(
            MemoryFaults.FAULTS,
            TensorFaults.FAULTS,
            DecoderFaults.FAULTS,
            AttentionFaults.FAULTS,
            CacheFaults.FAULTS)
        .flatMap(List::stream)
        .toList();
  }

  /** For the name of a test. */
  @Override
  public String toString() {
    return rule + " finds: " + what;
  }
}
