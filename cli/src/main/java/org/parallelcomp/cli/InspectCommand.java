package org.parallelcomp.cli;

import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.file.Path;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.engine.ModelInfo;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Says what a model file holds. */
@Command(
    name = "inspect",
    description = "Says what a model is: architecture, sizes, types, window, tokenizer, template.",
    mixinStandardHelpOptions = true,
    versionProvider = ParallelComp.Version.class)
final class InspectCommand implements Callable<Integer> {
  private final ParallelComp command;

  @Parameters(
      arity = "0..1",
      paramLabel = "MODEL",
      description =
          "A .gguf file, or a folder with safetensors, config.json and tokenizer.json. Default:"
              + " the bundled model.")
  private @Nullable Path model;

  @Option(names = "--json", description = "Prints one JSON object and nothing else.")
  private boolean json;

  InspectCommand(ParallelComp command) {
    this.command = command;
  }

  @Override
  public Integer call() {
    EngineAccess engine = command.engine();
    ModelInfo info = engine.inspect(model == null ? engine.bundledModel() : model);
    if (json) {
      Json.print(json(info), command.streams());
    } else {
      command.streams().out().print(text(info));
    }
    return 0;
  }

  private static String text(ModelInfo info) {
    String dtypes =
        new TreeMap<>(info.dtypes())
            .entrySet().stream()
                .map(entry -> entry.getKey() + " " + Units.bytes(entry.getValue()))
                .collect(Collectors.joining(", "));
    return new Table()
        .row("name", info.name())
        .row("format", info.format())
        .row("architecture", info.architecture())
        .row("parameters", Units.count(info.parameters()))
        .row("weights", Units.bytes(info.weightBytes()) + " (" + dtypes + ")")
        .row("layers", Units.count(info.layers()))
        .row("hidden dim", Units.count(info.hiddenDim()))
        .row(
            "heads",
            info.queryHeads() + " query, " + info.kvHeads() + " kv, head dim " + info.headDim())
        .row("feed-forward dim", Units.count(info.feedForwardDim()))
        .row("vocabulary", Units.count(info.vocab()) + " tokens")
        .row("trained window", Units.count(info.trainedWindow()) + " tokens")
        .row("cache", Units.bytes(info.cacheBytesPerToken()) + " per token in F32")
        .row("tokenizer", info.tokenizer())
        .row(
            "chat template",
            info.chatTemplate().isEmpty()
                ? "none"
                : Units.count(info.chatTemplate().length()) + " characters; --json shows it")
        .row("instruction", Json.quoted(info.form().instruction()))
        .row("question form", Json.quoted(info.form().questionForm()))
        .row("answer lead", Json.quoted(info.form().answerLead()))
        .toString();
  }

  private static ObjectNode json(ModelInfo info) {
    ObjectNode root = Json.object();
    root.put("name", info.name());
    root.put("format", info.format());
    root.put("architecture", info.architecture());
    root.put("parameters", info.parameters());
    root.put("weightBytes", info.weightBytes());
    root.put("layers", info.layers());
    root.put("hiddenDim", info.hiddenDim());
    root.put("queryHeads", info.queryHeads());
    root.put("kvHeads", info.kvHeads());
    root.put("headDim", info.headDim());
    root.put("feedForwardDim", info.feedForwardDim());
    root.put("vocab", info.vocab());
    root.put("trainedWindow", info.trainedWindow());
    root.put("cacheBytesPerToken", info.cacheBytesPerToken());
    ObjectNode dtypes = root.putObject("dtypeBytes");
    new TreeMap<>(info.dtypes()).forEach(dtypes::put);
    root.put("tokenizer", info.tokenizer());
    root.put("chatTemplate", info.chatTemplate());
    ResultJson.put(root.putObject("form"), info.form());
    return root;
  }
}
