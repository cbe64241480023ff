namespace Compress.Formats.Gguf;

/// <summary>Tensor names of Llama-like models in GGUF, from those of Hugging Face.</summary>
public static class GgufNames
{
    private const string Layers = "model.layers.";

    /// <summary>The GGUF name of a tensor; unknown names stay as they are.</summary>
    public static string Of(string tensor)
    {
        if (!tensor.StartsWith(Layers, StringComparison.Ordinal))
        {
            return tensor switch
            {
                "model.embed_tokens.weight" => "token_embd.weight",
                "model.norm.weight" => "output_norm.weight",
                "lm_head.weight" => "output.weight",
                _ => tensor,
            };
        }
        var rest = tensor[Layers.Length..];
        var (dot, end) = (rest.IndexOf('.', StringComparison.Ordinal), rest.LastIndexOf('.'));
        if (dot < 0 || end <= dot) return tensor;
        var part = rest[(dot + 1)..end] switch
        {
            "input_layernorm" => "attn_norm",
            "self_attn.q_proj" => "attn_q",
            "self_attn.k_proj" => "attn_k",
            "self_attn.v_proj" => "attn_v",
            "self_attn.o_proj" => "attn_output",
            "self_attn.q_norm" => "attn_q_norm",
            "self_attn.k_norm" => "attn_k_norm",
            "post_attention_layernorm" => "ffn_norm",
            "mlp.gate_proj" => "ffn_gate",
            "mlp.up_proj" => "ffn_up",
            "mlp.down_proj" => "ffn_down",
            var other => other,
        };
        return $"blk.{rest[..dot]}.{part}{rest[end..]}";
    }
}
