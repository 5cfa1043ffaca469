package org.parallelcomp.backend.cpu.vector;

import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.DecoderOps;
import org.parallelcomp.api.backend.Rope;
import org.parallelcomp.api.tensor.Tensor;

/** The single operations of another one, with the interface's own fused blocks. */
record Composite(DecoderOps parts) implements DecoderOps {
  @Override
  public void embed(Tensor out, Tensor table, Tensor tokenIds) {
    parts.embed(out, table, tokenIds);
  }

  @Override
  public void linear(Tensor out, Tensor weight, @Nullable Tensor bias, Tensor in) {
    parts.linear(out, weight, bias, in);
  }

  @Override
  public void rmsNorm(Tensor out, Tensor in, Tensor weight, float epsilon) {
    parts.rmsNorm(out, in, weight, epsilon);
  }

  @Override
  public void rope(Tensor inOut, Tensor positions, Rope rope) {
    parts.rope(inOut, positions, rope);
  }

  @Override
  public void swiGlu(Tensor out, Tensor gate, Tensor up) {
    parts.swiGlu(out, gate, up);
  }

  @Override
  public void add(Tensor inOut, Tensor term) {
    parts.add(inOut, term);
  }

  @Override
  public void tokenLogLikelihood(Tensor out, Tensor logits, Tensor targets) {
    parts.tokenLogLikelihood(out, logits, targets);
  }
}
