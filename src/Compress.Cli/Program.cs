using Compress.Core.Torch;
using TorchSharp;

Console.WriteLine(TorchBackend.EnsureLoaded());
using var x = torch.ones(3, 4);
Console.WriteLine(torch.matmul(x, x.T).sum().item<float>());
