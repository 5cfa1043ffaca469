package org.parallelcomp.engine;

import java.util.List;
import java.util.Map;

/**
 * What is known of a model file without running it.
 *
 * @param name the model's name
 * @param format "GGUF v3" or "safetensors"
 * @param architecture the architecture's name in the file
 * @param parameters numbers in all weights
 * @param weightBytes bytes of all weights
 * @param layers decoder layers
 * @param hiddenDim numbers per token between layers
 * @param queryHeads query heads per layer
 * @param kvHeads kv heads per layer
 * @param headDim numbers per head
 * @param feedForwardDim numbers per token inside the feed-forward part
 * @param vocab tokens of the vocabulary
 * @param trainedWindow tokens that the model was trained on at once
 * @param cacheBytesPerToken bytes of keys and values per token, in the type that the backend keeps
 *     them in; in F32 where the model is not open
 * @param dtypes bytes of weights by element type
 * @param tokenizer what the tokenizer is
 * @param chatTemplate the chat template, or an empty string
 * @param stopTokens tokens that end the model's turn, in ascending order
 * @param form the words around text and question that suit the model
 */
public record ModelInfo(
    String name,
    String format,
    String architecture,
    long parameters,
    long weightBytes,
    int layers,
    int hiddenDim,
    int queryHeads,
    int kvHeads,
    int headDim,
    int feedForwardDim,
    int vocab,
    int trainedWindow,
    long cacheBytesPerToken,
    Map<String, Long> dtypes,
    String tokenizer,
    String chatTemplate,
    List<Integer> stopTokens,
    PromptForm form) {}
