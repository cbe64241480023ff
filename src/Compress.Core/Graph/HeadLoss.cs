using TorchSharp;

namespace Compress.Core.Graph;

/// <summary>A loss through the output head, some positions at a time.</summary>
/// <param name="head">The head.</param>
/// <param name="softCap">Soft cap on logits, or null.</param>
/// <param name="loss">The loss of a position.</param>
/// <param name="teacher">
/// Logits of the teacher for positions <c>first … first + count − 1</c>, in the scope of the call; null where the loss needs none.
/// </param>
internal sealed class HeadLoss(LinearSite head, double? softCap, ILogitLoss loss, Func<long, long, torch.Tensor>? teacher)
{
    /// <summary>The target that leaves a position out, as in PyTorch and Hugging Face labels.</summary>
    private const long Ignored = -100;

    /// <summary>Positions at a time: the logits of a usual vocabulary stay in cache.</summary>
    private const long Rows = 512;

    /// <summary>Mean loss over the positions that count; NaN where none does.</summary>
    /// <param name="x">Normalised hidden states <c>[positions, hidden]</c> in the head's type.</param>
    /// <param name="targets">Target ids <c>[positions]</c>.</param>
    public torch.Tensor Of(torch.Tensor x, torch.Tensor targets)
    {
        using var scope = torch.NewDisposeScope();
        var bias = head.Bias;
        var differentiable = torch.is_grad_enabled()
            && (x.requires_grad || head.Weight.requires_grad || bias?.requires_grad == true);
        var sums = Sum(x, targets, differentiable);
        if (!differentiable) return sums.Loss.MoveToOuterDisposeScope();
        // A linear function of inputs and weights whose gradient is the one just found, and whose value is then taken away.
        var linear = (x.to(sums.Input.dtype) * sums.Input).sum() + (head.Weight * sums.Weight).sum();
        if (bias is not null) linear = linear + (bias * sums.Bias).sum();
        return (sums.Loss + (linear - linear.detach())).MoveToOuterDisposeScope();
    }

    /// <summary>The loss and its gradients with respect to inputs, weight and bias.</summary>
    private Sums Sum(torch.Tensor x, torch.Tensor targets, bool differentiable)
    {
        using var _ = torch.no_grad();
        var wide = Precision.Wide(x.dtype);
        var weight = head.Weight.to(x.dtype);
        var counted = targets.ne(Ignored).sum().to(wide);
        var total = torch.zeros([], wide, x.device);
        var found = differentiable
            ? new Sums(total, torch.empty_like(x), torch.zeros_like(weight, wide), torch.zeros([weight.shape[0]], wide, x.device))
            : new Sums(total, total, total, total);
        for (long at = 0; at < x.shape[0]; at += Rows)
        {
            using var scope = torch.NewDisposeScope();
            var n = Math.Min(Rows, x.shape[0] - at);
            var (rows, wanted) = (x.narrow(0, at, n), targets.narrow(0, at, n));
            var logits = torch.nn.functional.linear(rows, weight, head.Bias?.to(x.dtype)).to(wide);
            var capped = softCap is { } cap ? (logits / cap).tanh() * cap : logits;
            var counts = wanted.ne(Ignored).to(wide) / counted;
            var (losses, change) = loss.Evaluate(capped, teacher?.Invoke(at, n).to(wide), wanted.clamp_min(0), differentiable);
            total.add_((losses * counts).sum());
            if (change is null) continue;
            change.mul_(counts.unsqueeze(1));
            if (softCap is { } c) change.mul_(1 - (capped / c).square());
            var narrow = change.to(x.dtype);
            found.Input.narrow(0, at, n).copy_(narrow.mm(weight));
            found.Weight.add_(narrow.t().mm(rows));
            if (head.Bias is not null) found.Bias.add_(change.sum(dim: 0));
        }
        return found;
    }

    private sealed record Sums(torch.Tensor Loss, torch.Tensor Input, torch.Tensor Weight, torch.Tensor Bias);
}
