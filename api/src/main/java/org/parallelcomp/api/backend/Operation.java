package org.parallelcomp.api.backend;

/** The operations whose support depends on type or shape, for {@link Backend#supports}. */
public enum Operation {
  /** {@link DecoderOps#embed}: dtypes {table}, shapes {[vocab, hiddenDim]}. */
  EMBED,
  /** {@link DecoderOps#linear}: dtypes {weight}, shapes {[outputDim, inputDim]}. */
  LINEAR,
  /** {@link DecoderOps#rope}: shapes {[heads, headDim]}. */
  ROPE,
  /** {@link AttentionOps#attend}: dtypes {cache}, shapes {[queryHeads, kvHeads, headDim]}. */
  ATTEND,
  /** {@link AttentionOps#attentionMass}: as ATTEND. */
  ATTENTION_MASS,
  /** {@link CacheOps}: dtypes {cache}, shapes {[kvHeads, headDim]}. */
  CACHE
}
