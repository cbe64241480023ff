using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A tensor that a graph owns, outside every dispose scope, under a name; a tied table is one parameter used twice.</summary>
internal sealed class Parameter(string name, torch.Tensor value) : IDisposable
{
    private torch.Tensor value = value.DetachFromDisposeScope();

    /// <summary>Stored name, or the site's name with <c>.weight</c> or <c>.bias</c> for a part of a fused tensor.</summary>
    public string Name { get; } = name;

    /// <summary>The tensor; setting it takes ownership and disposes the old one.</summary>
    public torch.Tensor Value
    {
        get => value;
        set
        {
            if (ReferenceEquals(value, this.value)) return;
            if (!value.shape.AsSpan().SequenceEqual(this.value.shape))
            {
                throw new ArgumentException($"{Name} is [{string.Join(", ", this.value.shape)}], not [{string.Join(", ", value.shape)}]");
            }
            this.value.Dispose();
            this.value = value.DetachFromDisposeScope();
        }
    }

    public void Dispose() => value.Dispose();
}
