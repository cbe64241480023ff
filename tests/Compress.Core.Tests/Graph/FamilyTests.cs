using System.Text.Json.Nodes;
using Compress.Core.Tests.Graph.Naive;
using Compress.Formats.Architectures;

namespace Compress.Core.Tests.Graph;

/// <summary>Each family's graph against a naive forward in double that was written from the published definitions.</summary>
public class FamilyTests
{
    private static readonly int[] Ids = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8];

    [Theory]
    [InlineData("""{"sliding_window": 4}""")]
    [InlineData("""{"sliding_window": null, "head_dim": 6}""")]
    [InlineData("""{"sliding_window": 12}""")]
    public void Mistral(string changes)
    {
        var (config, spec) = Read(Llama("mistral"), changes);
        Assert.Equal((int?)config["sliding_window"], spec.Blocks[1].Attention!.Window);
        Check(spec, config, NaiveLlama.Logits);
    }

    [Theory]
    [InlineData("""{"tie_word_embeddings": true}""")]
    [InlineData("""{"use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1}""")]
    public void Qwen2(string changes)
    {
        var (config, spec) = Read(Llama("qwen2"), changes);
        Assert.NotNull(spec.Blocks[0].Attention!.Key.Bias);
        Check(spec, config, NaiveLlama.Logits);
    }

    [Theory]
    [InlineData("""{"head_dim": 8}""")]
    [InlineData("""{"head_dim": 8, "attention_bias": true, "use_sliding_window": true, "sliding_window": 5, "max_window_layers": 1}""")]
    public void Qwen3(string changes)
    {
        var (config, spec) = Read(Llama("qwen3"), changes);
        Assert.NotNull(spec.Blocks[0].Attention!.QueryNorm);
        Check(spec, config, NaiveLlama.Logits);
    }

    [Theory]
    [InlineData("gemma", """{"hidden_act": "gelu"}""")]
    [InlineData("gemma", """{"num_key_value_heads": 1, "hidden_activation": "gelu_pytorch_tanh"}""")]
    [InlineData("gemma2", """
        {"attn_logit_softcapping": 4.0, "final_logit_softcapping": 6.0, "sliding_window": 5, "query_pre_attn_scalar": 9}
        """)]
    [InlineData("gemma2", """
        {"attn_logit_softcapping": null, "final_logit_softcapping": null, "sliding_window": 4096, "query_pre_attn_scalar": 8}
        """)]
    [InlineData("gemma3_text", """
        {"sliding_window": 4, "sliding_window_pattern": 3, "rope_local_base_freq": 100.0, "rope_theta": 3000.0, "query_pre_attn_scalar": 5,
         "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "num_hidden_layers": 4}
        """)]
    public void Gemma(string type, string changes)
    {
        var (config, spec) = Read(Llama(type), """{"tie_word_embeddings": true, "head_dim": 8}""", changes);
        Check(spec, config, NaiveGemma.Logits);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"num_key_value_heads": 2, "qk_layernorm": true}""")]
    public void Phi2(string changes)
    {
        var (config, spec) = Read("""
            {"model_type": "phi", "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 4, "vocab_size": 11, "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.5, "rope_theta": 10000.0,
             "hidden_act": "gelu_new", "tie_word_embeddings": false}
            """, changes);
        Check(spec, config, NaivePhi.Phi2Logits);
    }

    [Theory]
    [InlineData("""{"sliding_window": 5}""")]
    [InlineData("""{"rope_scaling": {"type": "longrope", "short_factor": [1.0, 1.1, 1.2, 1.5], "long_factor": [1.0, 2.0, 5.0, 9.0]}}""")]
    [InlineData("""
        {"rope_scaling": {"type": "su", "short_factor": [1.0, 1.3], "long_factor": [1.5, 4.0]}, "original_max_position_embeddings": 8,
         "partial_rotary_factor": 0.5}
        """)]
    public void Phi3(string changes)
    {
        var (config, spec) = Read("""
            {"model_type": "phi3", "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
             "num_key_value_heads": 2, "vocab_size": 11, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
             "max_position_embeddings": 64, "original_max_position_embeddings": 32, "sliding_window": null, "tie_word_embeddings": false}
            """, changes);
        Check(spec, config, NaivePhi.Phi3Logits);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"scale_attn_by_inverse_layer_idx": true, "n_inner": 24}""")]
    [InlineData("""{"scale_attn_weights": false, "tie_word_embeddings": false}""")]
    public void Gpt2(string changes)
    {
        var (config, spec) = Read("""
            {"model_type": "gpt2", "n_embd": 32, "n_head": 4, "n_layer": 2, "n_positions": 16, "vocab_size": 11, "layer_norm_epsilon": 1e-5,
             "activation_function": "gelu_new"}
            """, changes);
        Check(spec, config, (model, ids) => NaiveGpt.Gpt2Logits(model, ids, "transformer."));
    }

    [Fact]
    public void Gpt_neo()
    {
        var (config, spec) = Read("""
            {"model_type": "gpt_neo", "hidden_size": 32, "num_heads": 4, "num_layers": 3, "max_position_embeddings": 16, "vocab_size": 11,
             "layer_norm_epsilon": 1e-5, "activation_function": "gelu_new", "attention_types": [[["global", "local"], 2]], "window_size": 4,
             "intermediate_size": null}
            """);
        Check(spec, config, (model, ids) => NaiveGpt.NeoLogits(model, ids, [false, true, false]));
    }

    [Theory]
    [InlineData("""{"use_parallel_residual": true}""")]
    [InlineData("""{"use_parallel_residual": false, "attention_bias": false}""")]
    public void Gpt_neox(string changes)
    {
        var (config, spec) = Read("""
            {"model_type": "gpt_neox", "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
             "vocab_size": 11, "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000, "hidden_act": "gelu",
             "tie_word_embeddings": false}
            """, changes);
        Check(spec, config, NaiveGpt.NeoXLogits);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Opt(bool normBefore)
    {
        var (config, spec) = Read("""
            {"model_type": "opt", "hidden_size": 32, "ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 11,
             "max_position_embeddings": 16, "word_embed_proj_dim": 32, "activation_function": "relu"}
            """, $$"""{"do_layer_norm_before": {{(normBefore ? "true" : "false")}}}""");
        Check(spec, config, (model, ids) => NaiveGpt.OptLogits(model, ids, "model.decoder."));
    }

    private static string Llama(string type) => $$"""
        {"model_type": "{{type}}", "hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "vocab_size": 11, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false}
        """;

    private static (JsonObject Config, ModelSpec Spec) Read(string json, params string[] changes)
    {
        var config = JsonNode.Parse(json)!.AsObject();
        foreach (var (key, value) in changes.SelectMany(c => JsonNode.Parse(c)!.AsObject())) config[key] = value?.DeepClone();
        return (config, SyntheticModel.FromConfig(config).Spec);
    }

    private static void Check(ModelSpec spec, JsonObject config, Func<NaiveCheckpoint, int[], double[][]> naive)
    {
        using var tensors = MemoryTensors.Random(spec, 11);
        // The checkpoint that the specification implies is one that the registry accepts.
        using var document = System.Text.Json.JsonDocument.Parse(config.ToJsonString());
        ArchitectureRegistry.Read(document.RootElement, tensors.Tensors, "config.json");
        Compare.Graph(naive(new NaiveCheckpoint(config, tensors.Values), Ids), tensors, spec, Ids);
    }
}
