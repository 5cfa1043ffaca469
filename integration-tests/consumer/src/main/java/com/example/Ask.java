package com.example;

import java.nio.file.Path;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.EngineConfig;
import org.parallelcomp.engine.GenerationRequest;
import org.parallelcomp.engine.TokenSink;
import org.parallelcomp.models.needle6m.Needle6m;

public class Ask {
  public static void main(String[] args) throws Exception {
    // README: begin
    try (var engine = Engine.open(EngineConfig.of(Needle6m.path()))) {
      String text = Engine.readText(Path.of(args[0]));
      TokenSink print = System.out::print;
      var result = engine.generate(GenerationRequest.ask(text, args[1]), print);
      System.out.println();
      for (var passage : result.citations()) {
        System.out.println("from characters " + passage.fromChar() + " to " + passage.toChar());
      }
    }
    // README: end
  }
}
