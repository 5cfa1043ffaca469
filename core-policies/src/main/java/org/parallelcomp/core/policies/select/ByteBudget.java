package org.parallelcomp.core.policies.select;

import java.util.List;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.BudgetAllocator;
import org.parallelcomp.api.policy.BudgetRequest;
import org.parallelcomp.api.policy.Parameter;
import org.parallelcomp.api.policy.PolicyFactory;
import org.parallelcomp.api.policy.PolicyKind;

/**
 * The kept keys and values of a whole request take no more than so many bytes.
 *
 * <p>The bytes are divided evenly over the chunks that may be kept, the layers and the kv heads,
 * and rounded down to whole tokens. A budget that cannot hold one token everywhere is refused.
 *
 * <p><i>Based on</i> no paper.
 *
 * <p>Parameters: {@code keep} = 67108864 bytes (64 MiB).
 */
public final class ByteBudget implements BudgetAllocator {
  /** Makes the policy {@code bytes}. */
  public static final PolicyFactory<BudgetAllocator> FACTORY =
      new PolicyFactory<>(
          PolicyKind.BUDGET,
          "bytes",
          "So many bytes for the kept context of a request, over all layers, heads and chunks.",
          "Divided evenly and rounded down to whole tokens; refused if that leaves none. No paper.",
          List.of(
              Parameter.integer(
                  "keep", 64L << 20, 1, "bytes", "keys and values of the whole kept context")),
          p -> new ByteBudget(p.longInteger("keep")));

  private final long keep;

  private ByteBudget(long keep) {
    this.keep = keep;
  }

  @Override
  public int keptTokens(BudgetRequest request) {
    long bytesPerToken =
        Math.multiplyExact(
            Math.multiplyExact((long) request.layers() * request.kvHeads(), request.tokenBytes()),
            (long) request.keptChunks());
    long tokens = keep / bytesPerToken;
    if (tokens == 0) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "A budget of "
              + keep
              + " bytes cannot hold one token of each kept chunk; at least "
              + bytesPerToken
              + " bytes are needed.");
    }
    return (int) Math.min(tokens, request.contextTokens());
  }
}
